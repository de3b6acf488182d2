#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {

/** What tests/python/ocr_peer.py says of a picture. */
struct OcrSign {
  std::string text, asked;
  std::string read;   ///< by RapidOCR
  int64_t size;       ///< of its letters, in pixels
  bool plain, level;  ///< its ground; not slanted
};

/** The peer's pictures [60,3,256,256], each with a prompt that quotes what is
 * asked for. */
struct OcrSigns {
  /** `how`: "", or "drawn" of those that nothing has read. */
  explicit OcrSigns(const std::string& how) {
    run_python("ocr_peer.py", "'" + folder.path() + "' " + how);
    const auto peer = read_safetensors(folder / "images.safetensors").tensors;
    pictures.images = peer.at("images");
    scores = peer.at("scores");
    for (const auto& one : read_json(folder / "signs.json")) {
      signs.push_back({one.at("text"), one.at("asked"), one.at("read"),
                       one.at("size"), one.at("plain"), one.at("level")});
      pictures.prompts.push_back(
          {0, "a sign that says \"" + signs.back().asked + "\"", "signs"});
    }
  }

  /** The first pictures alone. */
  TestPictures first(int64_t count) const {
    TestPictures some;
    some.images = pictures.images.narrow(0, 0, count);
    some.prompts = {pictures.prompts.begin(), pictures.prompts.begin() + count};
    return some;
  }

  /** Numbers of the pictures for which `is` holds. */
  torch::Tensor where(const std::function<bool(const OcrSign&)>& is) const {
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < signs.size(); ++i) {
      if (is(signs[i])) numbers.push_back(static_cast<int64_t>(i));
    }
    return at::tensor(numbers, at::kLong);
  }

  TemporaryFolder folder;
  TestPictures pictures;
  torch::Tensor scores;  ///< [60] float64, by RapidOCR
  std::vector<OcrSign> signs;
};

}  // namespace rsm
