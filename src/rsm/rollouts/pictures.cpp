#include "rsm/rollouts/pictures.h"

#include <algorithm>

#include "rsm/base/random.h"
#include "rsm/paths/forward.h"
#include "rsm/rollouts/solve.h"

namespace rsm {
namespace {

/** The shares of draws that are cleaner than those of one picture, in turn. */
std::vector<double> shares(const PictureKnobs& knobs, uint64_t seed) {
  const auto draws = static_cast<double>(knobs.draws);
  const auto drawn = [&](int64_t k) {
    return counted_uniform(
        counted_seed(seed, Purpose::forward_time, {static_cast<uint64_t>(k)}));
  };
  std::vector<double> out;
  for (int64_t k = 0; k < knobs.draws; ++k) {
    const auto noisier = static_cast<double>(k);
    out.push_back(knobs.stratified ? 1 - (noisier + 1 - drawn(k)) / draws
                                   : drawn(k));
  }
  return out;
}

/** Times of the grid, of which none comes twice before all did. */
std::vector<double> distinct_times(const PictureKnobs& knobs,
                                   const std::vector<double>& grid,
                                   uint64_t seed) {
  const auto all = times_within(knobs, grid);
  const auto draws = static_cast<size_t>(knobs.draws);
  std::vector<double> out;
  for (uint64_t round = 0; out.size() < draws; ++round) {
    const auto order = counted_permutation(
        counted_seed(seed, Purpose::forward_time, {round}), std::ssize(all));
    for (const int64_t place : order) out.push_back(all[place]);
  }
  out.resize(draws);
  std::sort(out.rbegin(), out.rend());
  return out;
}

/** A picture's times. */
std::vector<double> drawn_times(const PictureKnobs& knobs,
                                const std::vector<double>& grid,
                                uint64_t seed) {
  if (knobs.distinct) return distinct_times(knobs, grid, seed);
  std::vector<double> out;
  for (const double u : shares(knobs, seed)) {
    out.push_back(drawn_time(knobs, grid, u));
  }
  return out;
}

/** The next time of a grid. */
double after(const std::vector<double>& grid, double t) {
  const auto at = std::find(grid.begin(), grid.end(), t);
  return at == grid.end() ? 0 : at[1];
}

/** Of the states of one root's branches; none of samples alone. */
Transitions steps_of_branches(const Path& path, const RolloutPlan& plan) {
  Transitions out;
  if (plan.estimator.is_of_pictures()) return out;
  const auto steps = plan.transitions(path);
  for (int64_t i = 0; i < plan.trainable_steps(); ++i) {
    out.insert(out.end(), plan.states_at(i), steps[i]);
  }
  return out;
}

/** The times of one root's pictures, by draw. */
std::vector<double> times_of_root(const Path& path, const RolloutPlan& plan,
                                  const std::vector<double>& grid,
                                  uint64_t seed) {
  const auto& knobs = plan.estimator.noising();
  const int64_t images = plan.images_per_root();
  std::vector<double> out(knobs.draws * images);
  for (int64_t image = 0; image < images; ++image) {
    const auto own = plan.estimator.is_of_pictures()
                         ? seed
                         : counted_seed(seed, Purpose::forward_time,
                                        {static_cast<uint64_t>(image)});
    const auto times = drawn_times(knobs, grid, own);
    for (int64_t draw = 0; draw < knobs.draws; ++draw) {
      out[draw * images + image] = path.nearest_time(times[draw]);
    }
  }
  return out;
}

}  // namespace

Transitions own_rows(const Path& path, const RolloutPlan& plan,
                     const RolloutRequest& request) {
  const auto& knobs = plan.estimator.noising();
  const auto grid = plan.times(path);
  const auto first = request.first_members();
  const auto of_branches = steps_of_branches(path, plan);
  Transitions out;
  for (size_t p = 0; p < request.prompts.size(); ++p) {
    for (int64_t m = 0; m < request.members; ++m) {
      const int64_t member = knobs.shared ? 0 : first[p] + m;
      const auto seed =
          counted_seed(request.run_seed, Purpose::forward_time,
                       {static_cast<uint64_t>(request.epoch),
                        static_cast<uint64_t>(request.prompts[p].id),
                        static_cast<uint64_t>(member)});
      out.insert(out.end(), of_branches.begin(), of_branches.end());
      for (const double t : times_of_root(path, plan, grid, seed)) {
        out.push_back(forward_row(path, t));
        if (knobs.times == PictureKnobs::Times::grid) {
          out.back().t_next = after(grid, t);
        }
      }
    }
  }
  return out;
}

void draw_pictures(Sampling& sampling) {
  const auto x = solved(
      sampling.plan().solving(), sampling.path(), sampling.times(),
      sampling.start(),
      [&](const torch::Tensor& state, int64_t step) {
        return sampling.evaluate_at(state, step);
      },
      [&](int64_t step) { return sampling.noise_at(step); });
  sampling.keep_latents(x);
  sampling.keep_noised(x);
}

}  // namespace rsm
