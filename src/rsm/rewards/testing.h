#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/base/reward.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

/** What tests of rewards share. */
namespace rsm {

/** Pictures that differ everywhere, as bytes and as what rewards are given. */
struct TestPictures {
  torch::Tensor bytes;   ///< [B,H,W,3] uint8
  torch::Tensor images;  ///< [B,3,H,W] float32, exactly these bytes
  Prompts prompts;       ///< with quotes, line ends and letters beyond ASCII
};

inline TestPictures test_pictures(int64_t count, int64_t height,
                                  int64_t width) {
  TestPictures out;
  out.bytes = (counted_normal(7, {count, height, width, 3}) * 60 + 128)
                  .clamp(0, 255)
                  .to(torch::kUInt8);
  out.images =
      (out.bytes.to(torch::kFloat32) / 255).permute({0, 3, 1, 2}).contiguous();
  for (int64_t i = 0; i < count; ++i) {
    out.prompts.push_back({i,
                           "a \"red\"\ncircle, gr\xc3\xb6\xc3\x9f"
                           "er than " +
                               std::to_string(i * i),
                           ""});
  }
  return out;
}

/** What the tests' programs and servers compute of a prompt and some bytes: a
 * picture's pixels or its file. Exact in float32. */
template <typename Bytes>
float test_score(const Bytes& bytes, const std::string& prompt) {
  int64_t sum = 0;
  int64_t i = 0;
  for (const auto byte : bytes) {
    sum += (i++ % 7 + 1) * static_cast<int64_t>(static_cast<uint8_t>(byte));
  }
  return static_cast<float>(sum % 1009) / 8 + static_cast<float>(prompt.size());
}

/** The same in Python. */
inline constexpr const char* kTestScore = R"(
def test_score(data, prompt):
    total = sum((i % 7 + 1) * byte for i, byte in enumerate(data))
    return total % 1009 / 8 + len(prompt.encode())
)";

/** SIGPIPE ends the process again, where it was started with it ignored: so
 * that a test can see that it does not come. */
inline void make_pipe_signal_deadly() { std::signal(SIGPIPE, SIG_DFL); }

/** Writes a Python program; the command that runs it. */
inline std::string python_program(const TemporaryFolder& folder,
                                  const std::string& name,
                                  const std::string& text) {
  write_file_atomic(folder / name, text);
  return "python3 '" + folder / name + "'";
}

/** The scores of some pictures of a batch. */
inline RewardScores score_some(const Reward& reward,
                               const TestPictures& pictures,
                               const std::vector<int64_t>& which) {
  Prompts prompts;
  for (const int64_t i : which) {
    prompts.push_back(pictures.prompts[i]);
  }
  return reward.score(
      pictures.images.index_select(0, torch::tensor(which, torch::kInt64)),
      prompts);
}

/** A score does not depend on the other pictures of the call. */
inline void expect_each_picture_alone(const Reward& reward,
                                      const TestPictures& pictures) {
  const int64_t count = pictures.images.size(0);
  const auto whole = reward.score(pictures.images, pictures.prompts);
  const auto order = counted_permutation(3, count);
  const auto other = score_some(reward, pictures, order);
  const auto index = torch::tensor(order, torch::kInt64);
  EXPECT_TRUE(torch::equal(other.value, whole.value.index_select(0, index)));
  for (const auto& [name, values] : whole.metrics) {
    EXPECT_TRUE(
        torch::equal(other.metrics.at(name), values.index_select(0, index)))
        << name;
  }
  const auto one = score_some(reward, pictures, {count - 1});
  EXPECT_EQ(one.value[0].item<float>(), whole.value[count - 1].item<float>());
}

}  // namespace rsm
