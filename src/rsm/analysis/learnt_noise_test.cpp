#include "rsm/analysis/learnt_noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/analysis/estimator_error.h"
#include "rsm/analysis/toy_parts.h"
#include "rsm/base/error.h"

namespace rsm {
namespace {

NoiseLearning short_lesson() {
  NoiseLearning options;
  options.steps = 800;
  options.batch = 256;
  options.width = 64;
  return options;
}

/** Lets so many steps go by. */
class Stopping : public NoProgress {
 public:
  bool stopping() const override { return seen_ > 3; }
  void update(int64_t done, const std::string&) override { seen_ = done; }

 private:
  int64_t seen_ = 0;
};

struct Lesson {
  explicit Lesson(const NoiseLearning& options)
      : path(toy_estimators(389)[1].path()),
        exact(world.tilted(), *path),
        learnt(world.tilted(), toy_alpha_bars(), options, progress) {
    const double signal = std::sqrt(ThreeModes::alpha_bars()[149]);
    x = world.states(64, signal)
            .to(at::kFloat)
            .t()
            .contiguous()
            .view({1, 2, 8, 8})
            .repeat({2, 1, 1, 1});
    // The same points at their own time and at a noisier one.
    t = torch::tensor({150.0F, 300.0F}) / 501;
  }

  NoProgress progress;
  ThreeModes world;
  std::shared_ptr<const Path> path;
  MixtureDenoiser exact;
  LearntNoise learnt;
  torch::Tensor x, t;
  Condition none = {at::zeros({2, 1, 1}), {}};
};

TEST(LearntNoise, ComesNearTheExactNoise) {
  Lesson lesson(short_lesson());
  const auto exact = lesson.exact.predict(lesson.x, lesson.t, lesson.none);
  const auto learnt = lesson.learnt.predict(lesson.x, lesson.t, lesson.none);
  EXPECT_EQ(learnt.sizes(), exact.sizes());
  const auto left = (learnt - exact).square().mean({1, 2, 3});
  const auto all = exact.square().mean({1, 2, 3});
  for (int64_t b = 0; b < 2; ++b) {
    EXPECT_LT(left[b].item<double>(), 0.2 * all[b].item<double>()) << b;
  }
}

TEST(LearntNoise, CarriesGradientsBackLikeItsSlopes) {
  Lesson lesson(short_lesson());
  const auto v = at::linspace(-1, 1, 256).view({2, 2, 8, 8});
  const auto back = lesson.learnt.pull_back(
      lesson.x, lesson.t, lesson.none,
      [&](int64_t first, int64_t count, const torch::Tensor&) {
        return v.slice(0, first, first + count);
      });
  // Slopes along one direction, by differences of float32 over 0.02.
  constexpr double kStep = 0.01;
  const auto along = at::linspace(1, -2, 256).view({2, 2, 8, 8}).sin();
  const auto moved = [&](double way) {
    return (lesson.learnt.predict(lesson.x + way * along, lesson.t,
                                  lesson.none) *
            v)
        .sum()
        .item<double>();
  };
  const double slope = (moved(kStep) - moved(-kStep)) / (2 * kStep);
  EXPECT_NEAR((back * along).sum().item<double>(), slope,
              0.01 * std::abs(slope) + 0.01);
}

TEST(LearntNoise, IsItsSeedsAlone) {
  auto options = short_lesson();
  options.steps = 5;
  Lesson one(options), same(options);
  options.seed = 1;
  Lesson other(options);
  const auto said = [](Lesson& lesson) {
    return lesson.learnt.predict(lesson.x, lesson.t, lesson.none);
  };
  EXPECT_TRUE(at::equal(said(one), said(same)));
  EXPECT_FALSE(at::equal(said(one), said(other)));
}

TEST(LearntNoise, StopsWhenItIsToldTo) {
  Stopping progress;
  const ThreeModes world;
  EXPECT_THROW(
      LearntNoise(world.tilted(), toy_alpha_bars(), short_lesson(), progress),
      Interrupted);
}

TEST(EstimatorErrors, AreAlsoThoseOfLearntScores) {
  EstimatorErrorOptions options;
  options.points = 2;
  options.samples = 16;
  options.timesteps = {149};
  NoProgress progress;
  const auto exact = estimator_errors(options, progress);
  options.learning = short_lesson();
  const auto learnt = estimator_errors(options, progress);
  ASSERT_EQ(learnt.size(), exact.size());
  EXPECT_EQ(learnt[0].rmse, exact[0].rmse);  // ZERO asks no network
  for (size_t i = 1; i < learnt.size(); ++i) {
    EXPECT_NE(learnt[i].rmse, exact[i].rmse) << learnt[i].estimator.label();
    EXPECT_TRUE(std::isfinite(learnt[i].rmse));
  }
}

}  // namespace
}  // namespace rsm
