#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
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

/** As main does, for ChildProcess. */
inline const auto kPipeSignalBefore = std::signal(SIGPIPE, SIG_IGN);

inline const NoProgress kNeverStops;

/** Asks to stop from the so-many-th look on, the first being 0. */
class StopsAt : public NoProgress {
 public:
  explicit StopsAt(int64_t look) : look_(look) {}
  bool stopping() const override { return looks_++ >= look_; }
  int64_t looks() const { return looks_; }

 private:
  int64_t look_;
  mutable std::atomic<int64_t> looks_ = 0;
};

/** Writes a Python program; the command that runs it. */
inline std::string python_program(const TemporaryFolder& folder,
                                  const std::string& name,
                                  const std::string& text) {
  write_file_atomic(folder / name, text);
  return "python3 '" + folder / name + "'";
}

inline RewardScores score(const Reward& reward, const TestPictures& pictures) {
  return reward.score(pictures.images, pictures.prompts);
}

/** The same asked for by four threads at once, as while an epoch is drawn. */
inline std::vector<RewardScores> score_at_once(const Reward& reward,
                                               const TestPictures& pictures) {
  std::vector<std::future<RewardScores>> judging(4);
  for (auto& part : judging) {
    part =
        std::async(std::launch::async, [&] { return score(reward, pictures); });
  }
  std::vector<RewardScores> scores;
  for (auto& part : judging) scores.push_back(part.get());
  return scores;
}

/** The error of judging pictures, three small ones unless said. */
inline std::string score_error(
    const Reward& reward,
    const TestPictures& pictures = test_pictures(3, 4, 5)) {
  const auto error = error_of([&] { score(reward, pictures); });
  expect_parts(error, {"[reward " + reward.name() + "]"});
  return error;
}

/** What a right judge gives: test_score of what `bytes_of` gives for each. */
template <typename BytesOf>
torch::Tensor expected_scores(const TestPictures& pictures,
                              const BytesOf& bytes_of) {
  std::vector<float> scores;
  for (int64_t i = 0; i < pictures.bytes.size(0); ++i) {
    scores.push_back(test_score(bytes_of(i), pictures.prompts[i].text));
  }
  return torch::tensor(scores);
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
  const auto whole = score(reward, pictures);
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
