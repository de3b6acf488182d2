#include "rsm/train/drift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "rsm/base/random.h"
#include "rsm/runs/watched_states.h"

namespace rsm {
namespace {

/** Stochastic paths with w = 1 everywhere, and outputs of every state whose KL
 * grows with the step and differs by state. */
struct Paths {
  RolloutIndex rollout;
  std::vector<int64_t> trained;
  torch::Tensor y_old;

  Paths(int64_t roots, int64_t steps) {
    for (int64_t r = 0; r < roots; ++r) {
      for (int64_t i = 0; i < steps; ++i) {
        rollout.state_root.push_back(r);
        rollout.state_step.push_back(i);
      }
    }
    Transition step;
    step.m_y = -1;
    step.s = 1;
    rollout.transitions.assign(steps + 1, step);
    trained = all_states(rollout);
    const int64_t n = rollout.states();
    const auto noise = counted_normal(7, {n}).abs();
    y_old = at::empty({n, 1, 2, 2}, at::kFloat);
    for (int64_t s = 0; s < n; ++s) {
      y_old[s].fill_((1 + rollout.state_step[s]) *
                     (1 + 0.2 * noise[s].item<double>()));
    }
  }

  /** Where the reference, which says 0, was asked at these states. */
  Drift seen_at(const std::vector<int64_t>& states) const {
    Outputs outputs;
    outputs.old = {y_old, all_states(rollout)};
    outputs.reference = {at::zeros({std::ssize(states), 1, 2, 2}), states};
    return measure_drift(rollout, outputs);
  }
  double mean_kl(const Drift& drift) const {
    return drift.mean_kl(rollout, trained);
  }

  /** The sampling error of mean_kl(): of a stratified mean. */
  double standard_error(const Drift& drift) const {
    std::map<int64_t, std::vector<double>> values;
    for (size_t i = 0; i < drift.states.size(); ++i) {
      values[rollout.state_step[drift.states[i]]].push_back(drift.kl[i]);
    }
    std::map<int64_t, int64_t> count;
    for (const int64_t s : trained) ++count[rollout.state_step[s]];
    double variance = 0;
    for (const auto& [step, kl] : values) {
      const auto n = static_cast<double>(kl.size());
      double mean = 0, square = 0;
      for (const double v : kl) mean += v / n;
      for (const double v : kl) square += (v - mean) * (v - mean) / (n - 1);
      const double weight = static_cast<double>(count[step]) /
                            static_cast<double>(trained.size());
      variance += weight * weight * square / n;
    }
    return std::sqrt(variance);
  }
};

TEST(Drift, OfWatchedStatesIsThatOfAllWithinItsStandardError) {
  Paths equal(256, 9), unequal(400, 9);
  // Later steps have fewer states, down to 80.
  std::erase_if(unequal.trained, [&](int64_t s) {
    return unequal.rollout.state_root[s] >=
           400 - 40 * unequal.rollout.state_step[s];
  });
  for (const auto* paths : {&equal, &unequal}) {
    const auto whole = paths->seen_at(paths->trained);
    const double all = paths->mean_kl(whole);
    double plain = 0;
    for (const double kl : whole.kl) {
      plain += kl / static_cast<double>(whole.kl.size());
    }
    EXPECT_NEAR(all, plain, 1e-9 * plain);
    EXPECT_NEAR(whole.kl[0],
                0.5 * paths->y_old[0].square().mean().item<float>(), 1e-6);
    double off = 0;
    constexpr int kSeeds = 50;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const auto some = paths->seen_at(
          watched_states(paths->rollout, paths->trained, kWatchedStates, seed));
      const double z =
          (paths->mean_kl(some) - all) / paths->standard_error(some);
      EXPECT_LT(std::abs(z), 5) << seed;
      off += z / kSeeds;
    }
    // Unbiased: the mean of 50 is a seventh of a standard error off.
    EXPECT_LT(std::abs(off), 5 / std::sqrt(kSeeds));
  }
}

TEST(Drift, ComparesTheSizeOfOutputsWithTheReferences) {
  const Paths paths(3, 2);
  const auto all = all_states(paths.rollout);
  const Outputs outputs = {{at::full({6, 1, 2, 2}, 6.0), all},
                           {at::full({6, 1, 2, 2}, 2.0), all}};
  const auto drift = measure_drift(paths.rollout, outputs);
  EXPECT_NEAR(drift.output_ratio, 3, 1e-12);
  EXPECT_NEAR(paths.mean_kl(drift), 0.5 * 16, 1e-12);
}

/** In units of what beta multiplies, whatever beta is; forward rows and states
 * that only one of the two knows are left out. */
TEST(DistanceToPull, IsTheMeanOfWhatBetaMultiplies) {
  Paths paths(2, 3);
  auto& step = paths.rollout.transitions;
  for (size_t i = 0; i < step.size(); ++i) {
    step[i].t = 1 - 0.25 * static_cast<double>(i);
    step[i].t_next = step[i].t - 0.25;
    step[i].m_y = -0.5 * static_cast<double>(i + 1);
  }
  const auto& y = paths.y_old;
  Outputs outputs;
  outputs.old = {y, all_states(paths.rollout)};
  outputs.reference = {100 + y, all_states(paths.rollout)};
  const std::vector<int64_t> known = {0, 2, 4};
  outputs.guided_reference = {at::zeros({3, 1, 2, 2}), known};
  RegularisationKnobs knobs;
  knobs.beta = 0.3;
  for (const auto form : {RegularisationKnobs::KlForm::exact,
                          RegularisationKnobs::KlForm::heuristic,
                          RegularisationKnobs::KlForm::output}) {
    knobs.kl_form = form;
    double expected = 0;
    for (const int64_t s : known) {
      const auto& at = paths.rollout.transition_of(s);
      double factor = 1;
      if (form != RegularisationKnobs::KlForm::output) {
        factor = 0.5 * at.m_y * at.m_y;
      }
      if (form == RegularisationKnobs::KlForm::heuristic) factor *= 0.25;
      expected += factor * y[s].square().mean().item<double>() / 3;
    }
    EXPECT_NEAR(distance_to_pull(knobs, paths.rollout, outputs), expected,
                1e-6 * expected);
  }
  paths.rollout.noised_from = 1;  // state 0 is left
  knobs.kl_form = RegularisationKnobs::KlForm::output;
  EXPECT_NEAR(distance_to_pull(knobs, paths.rollout, outputs),
              y[0].square().mean().item<double>(), 1e-6);
}

}  // namespace
}  // namespace rsm
