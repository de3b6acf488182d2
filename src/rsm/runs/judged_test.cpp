#include "rsm/runs/judged.h"

#include <gtest/gtest.h>

#include <set>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/picture_groups.h"
#include "rsm/estimators/testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** Latents are pictures; `scale` says how large they claim to be. */
class Plain : public Decoder {
 public:
  explicit Plain(int64_t scale) : scale_(scale) {}
  torch::Tensor decode(const torch::Tensor& latents) const override {
    most = std::max(most, latents.size(0));
    return latents;
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return latents;
  }
  int64_t scale() const override { return scale_; }
  mutable int64_t most = 0;

 private:
  int64_t scale_;
};

/** A picture's red, in groups less the mean of its group. */
class Centred : public Reward {
 public:
  explicit Centred(bool groups) : groups_(groups) {}
  std::string name() const override { return "centred"; }
  bool sees_groups() const override { return groups_; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    RewardScores out;
    out.value = images.select(1, 0).flatten().clone();
    std::vector<float> ids;
    for (const auto& prompt : prompts) {
      ids.push_back(static_cast<float>(prompt.id));
    }
    out.metrics["id"] = torch::tensor(ids);
    return out;
  }
  RewardScores score_groups(const torch::Tensor& images, const Prompts& prompts,
                            const std::vector<int64_t>& group) const override {
    check_groups("centred", images.size(0), group);
    auto out = score(images, prompts);
    const auto label = torch::tensor(group, at::kLong);
    for (const int64_t g : std::set<int64_t>(group.begin(), group.end())) {
      EXPECT_TRUE(asked.insert(g).second) << "twice, so not whole";
      const auto own = (label == g).nonzero().flatten();
      const auto values = out.value.index_select(0, own);
      out.value.index_copy_(0, own, values - values.mean());
    }
    return out;
  }
  mutable std::set<int64_t> asked;

 private:
  bool groups_;
};

struct Problem {
  Problem() : rollout(small_rollout(true)) {
    rollout.latents = counted_normal(3, {rollout.images(), 3, 1, 1});
    EstimatorKnobs knobs;
    knobs.grouping = EstimatorKnobs::Grouping::prompt;
    groups = picture_groups(rollout, knobs);
  }
  torch::Tensor red() const { return rollout.latents.select(1, 0).flatten(); }
  /** By hand. */
  torch::Tensor centred() const {
    auto out = red().clone();
    for (int64_t i = 0; i < rollout.images(); ++i) {
      double sum = 0, count = 0;
      for (int64_t j = 0; j < rollout.images(); ++j) {
        if (groups[i] != groups[j]) continue;
        sum += red()[j].item<double>();
        ++count;
      }
      out[i] -= sum / count;
    }
    return out;
  }

  Rollout rollout;
  std::vector<int64_t> groups;
};

TEST(Judged, GroupsAreWholeHoweverManyPicturesAreHeld) {
  const Problem problem;
  const auto& rollout = problem.rollout;
  torch::Tensor first;
  // A quarter of a gigabyte holds all of them, five, and one.
  for (const auto& [scale, most] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 20}, {2048, 6}, {4096, 6}}) {
    const Plain decoder(scale);
    const Centred reward(true);
    const auto scores =
        judged(rollout, decoder, reward, 0, rollout.images(), {problem.groups});
    EXPECT_EQ(decoder.most, most);
    EXPECT_EQ(reward.asked, (std::set<int64_t>{0, 1, 2, 3}));
    EXPECT_TRUE(scores.value.allclose(problem.centred(), 0, 1e-6));
    if (!first.defined()) first = scores.value;
    EXPECT_TRUE(scores.value.equal(first));
    for (int64_t i = 0; i < rollout.images(); ++i) {
      EXPECT_EQ(scores.metrics.at("id")[i].item<float>(), i < 10 ? 10 : 11);
    }
  }
}

TEST(Judged, PartsOfWholePromptsAreTheWhole) {
  const Problem problem;
  const Plain decoder(1);
  const Centred reward(true);
  const auto part = [&](int64_t first) {
    return judged(problem.rollout, decoder, reward, first, 10, {problem.groups})
        .value;
  };
  EXPECT_TRUE(
      at::cat({part(0), part(10)}).allclose(problem.centred(), 0, 1e-6));
}

TEST(Judged, AloneWhereNoGroupsAreSeenOrGiven) {
  const Problem problem;
  const Plain decoder(4096);
  const Centred seeing(true), other(false);
  const auto& rollout = problem.rollout;
  EXPECT_TRUE(
      judged(rollout, decoder, seeing, 0, 20).value.equal(problem.red()));
  EXPECT_TRUE(judged(rollout, decoder, other, 0, 20, {problem.groups})
                  .value.equal(problem.red()));
  EXPECT_EQ(decoder.most, 1);
  EXPECT_TRUE(judged(rollout, decoder, other, 4, 3)
                  .value.equal(problem.red().slice(0, 4, 7)));
  expect_parts(error_of([&] {
                 judged(rollout, decoder, seeing, 0, 20, {{1, 2, 3}});
               }),
               {"3 labels", "20 pictures"});
}

}  // namespace
}  // namespace rsm
