#include "rsm/rollouts/plan.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/paths/forward.h"

namespace rsm {

using Source = EstimatorKnobs::Source;

namespace {

/** A root's leaves are all in memory at once. */
constexpr int64_t kMostLeaves = 4096;

bool splits_at(const RolloutPlan& plan, int64_t step) {
  return plan.estimator.source == Source::tree &&
         plan.estimator.tree.splits_at(step);
}

void check_tree(const RolloutPlan& plan, const std::string& name) {
  int64_t before = -1;
  int64_t leaves = 1;
  for (const int64_t step : plan.estimator.tree.split_steps) {
    RSM_CHECK(step > before && step <= plan.steps - 2, "[plan] method ", name,
              " splits at step ", step,
              before < 0 ? std::string() : cat(" after step ", before), " of ",
              plan.steps, "; split_steps must rise within 0 to ",
              plan.steps - 2, ": the last step is not trained");
    leaves *= plan.estimator.tree.children;
    RSM_CHECK(leaves <= kMostLeaves, "[plan] method ", name, " has more than ",
              kMostLeaves, " leaves a root with ", plan.estimator.tree.children,
              " children at each of ", plan.estimator.tree.split_steps.size(),
              " splits; take fewer of either");
    before = step;
  }
}

/** The states of one root at `step`, and their rows. */
void lay_out_step(RolloutIndex& out, const RolloutPlan& plan, int64_t root,
                  int64_t prompt, int64_t step) {
  const bool own_picture = plan.has_pictures_of_rows();
  const int64_t drawn = plan.branches_at(step);
  const int64_t per_state = out.shared ? drawn : std::min<int64_t>(drawn, 1);
  // Branches lead to a picture each, in the order of rows, and so do judged
  // steps, behind the picture of the first one's state; the leaves below a
  // node's children stand together.
  const int64_t images = plan.images_per_root();
  const int64_t each = own_picture ? 1 : images / plan.nodes_at(step + 1);
  int64_t image = root * images;
  if (own_picture) image += plan.rows_before(step);
  if (plan.estimator.judges_every_step()) ++image;
  for (int64_t state = 0; state < plan.states_at(step); ++state) {
    for (int64_t row = 0; row < per_state; ++row, image += each) {
      out.row_state.push_back(out.states());
      out.row_image.push_back(image);
      if (plan.estimator.source == Source::tree) {
        out.row_images.push_back(each);
      }
    }
    out.state_root.push_back(root);
    out.state_prompt.push_back(prompt);
    out.state_step.push_back(step);
  }
}

/** A row at each time of a grid but the last. */
Transitions rows_at_times(const Path& path, const std::vector<double>& times) {
  Transitions out;
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    out.push_back(forward_row(path, times[i]));
  }
  return out;
}

/** A root's pictures, noised again by draw. */
void lay_out_forward_rows(RolloutIndex& out, const RolloutPlan& plan,
                          int64_t root, int64_t prompt) {
  const int64_t images = plan.images_per_root();
  for (int64_t row = 0; row < plan.forward_rows_per_root(); ++row) {
    out.row_state.push_back(out.states());
    out.row_image.push_back(root * images + row % images);
    out.state_root.push_back(root);
    out.state_prompt.push_back(prompt);
    out.state_step.push_back(plan.steps + row / images);
  }
}

}  // namespace

int64_t RolloutPlan::nodes_at(int64_t step) const {
  if (estimator.is_of_pairs()) return 2;
  int64_t nodes = 1;
  if (estimator.source == Source::tree) {
    for (const int64_t split : estimator.tree.split_steps) {
      nodes *= split < step ? estimator.tree.children : 1;
    }
  }
  return nodes;
}

int64_t RolloutPlan::branches_at(int64_t step) const {
  return estimator.rows_at(step, steps);
}

int64_t RolloutPlan::continuation_at(int64_t step) const {
  const int64_t usual = steps - 1 - step;
  return continuation_steps > 0 ? std::min(continuation_steps, usual) : usual;
}

int64_t RolloutPlan::steps_after_window() const {
  constexpr double kRounding = 1e-9;  // a share times a count may miss a whole
  const auto left = static_cast<double>(steps - window_end());
  return static_cast<int64_t>(
      std::ceil(estimator.window.continuation * left - kRounding));
}

int64_t RolloutPlan::root_steps() const {
  if (estimator.source != Source::branches) {
    return steps;
  }
  int64_t count = anchors ? steps - 1 : 0;
  for (int64_t i = 0; i < steps - 1; ++i) {
    if (branches_at(i) > 0) {
      count = std::max(count, i + 1);
    }
  }
  return count;
}

int64_t RolloutPlan::rows_before(int64_t step) const {
  int64_t rows = 0;
  for (int64_t i = 0; i < step; ++i) {
    rows += nodes_at(i) * branches_at(i);
  }
  return rows;
}

int64_t RolloutPlan::states_before(int64_t step) const {
  int64_t states = 0;
  for (int64_t i = 0; i < step; ++i) {
    states += states_at(i);
  }
  return states;
}

int64_t RolloutPlan::forward_rows_per_root() const {
  return estimator.forward.pictures.draws * images_per_root();
}

int64_t RolloutPlan::rows_per_root() const {
  return rows_before(trainable_steps()) + forward_rows_per_root();
}

int64_t RolloutPlan::states_per_root() const {
  return states_before(trainable_steps()) + forward_rows_per_root();
}

int64_t RolloutPlan::images_per_root() const {
  return has_pictures_of_rows() ? rows_before(trainable_steps()) +
                                      (estimator.judges_every_step() ? 1 : 0)
                                : nodes_at(steps - 1);
}

int64_t RolloutPlan::states_at(int64_t step) const {
  const int64_t branches = branches_at(step);
  if (branches == 0) {
    const bool anchored = anchors && estimator.source == Source::branches;
    return anchored && step >= 0 && step < steps - 1 ? 1 : 0;
  }
  return nodes_at(step) * (sharing == Sharing::all ? 1 : branches);
}

bool RolloutPlan::evaluates_again_at(int64_t step) const {
  // What has one row by itself shares nothing.
  const bool could_share =
      estimator.source == Source::branches || splits_at(*this, step);
  return sharing == Sharing::none && could_share && branches_at(step) > 0;
}

int64_t RolloutPlan::evaluations_per_root() const {
  int64_t evaluations = 0;
  if (estimator.source == Source::rollout) {
    for (int64_t i = 0; estimator.judges_every_step() && i < steps; ++i) {
      if (branches_at(i) > 0) evaluations += steps - 1 - i;
    }
    return evaluations + window_end() + steps_after_window();
  }
  for (int64_t i = 0; i < root_steps(); ++i) {
    const int64_t rows = nodes_at(i) * branches_at(i);
    evaluations += nodes_at(i) + (evaluates_again_at(i) ? rows : 0);
    if (estimator.source == Source::branches) {
      evaluations += rows * continuation_at(i);
    }
  }
  return evaluations;
}

bool RolloutPlan::is_common_at(int64_t step) const {
  if (!estimator.shared_start || sharing == Sharing::none ||
      (estimator.source != Source::rollout &&
       estimator.source != Source::tree)) {
    return false;
  }
  for (int64_t i = 0; i < step; ++i) {
    if (branches_at(i) > 0) return false;
  }
  return true;
}

int64_t RolloutPlan::evaluations(int64_t prompts, int64_t members) const {
  int64_t common = 0;
  while (common < steps && is_common_at(common)) ++common;
  return prompts * (members * (evaluations_per_root() - common) + common);
}

double RolloutPlan::noise_factor_at(int64_t step) const {
  return splits_at(*this, step) ? estimator.tree.split_noise : 1;
}

std::vector<double> Solving::times(const Path& path,
                                   std::vector<double> grid) const {
  if (solver != Solver::sa) return grid;
  return path.times_from(grid.front(), std::ssize(grid) - 1);
}

std::vector<double> RolloutPlan::times(const Path& path) const {
  return solving().times(path, path.times(steps));
}

Transitions RolloutPlan::transitions(const Path& path) const {
  if (estimator.is_of_pictures()) return noised_rows(path);
  const auto times = this->times(path);
  if (estimator.is_of_pairs()) return rows_at_times(path, times);
  auto out = path.noisy_steps(times, noise);
  const auto& gradient = estimator.gradient;
  for (int64_t i = 0; estimator.is_first_order() && i < steps; ++i) {
    if (gradient.stochastic) break;
    const auto ode = path.ode_step(times, i);
    out[i].a_x = ode.a_x;
    out[i].m_y = ode.m_y;
  }
  for (size_t i = 0; split_noise_recorded && i < out.size(); ++i) {
    const double factor = noise_factor_at(static_cast<int64_t>(i));
    out[i].s *= factor;
    out[i].diffusion *= factor;
  }
  for (size_t i = 0; i < weights.size(); ++i) out[i].weight = weights[i];
  return out;
}

Transitions RolloutPlan::noised_rows(const Path& path) const {
  const auto& knobs = estimator.noising();
  const auto times = this->times(path);
  Transitions out;
  for (int64_t draw = 0; draw < knobs.draws; ++draw) {
    const double u = 1 - (static_cast<double>(draw) + 0.5) /
                             static_cast<double>(knobs.draws);
    out.push_back(
        forward_row(path, path.nearest_time(drawn_time(knobs, times, u))));
  }
  return out;
}

RolloutPlan make_plan(const Method& method, int64_t steps,
                      const StepNoise& noise, int64_t continuation_steps,
                      Sharing sharing) {
  RSM_CHECK(steps >= 2, "[plan] ", steps,
            " sampling steps arrived; at least 2 are needed, since the last "
            "step is not trained");
  RSM_CHECK(noise.level > 0, "[plan] noise level ", noise.level,
            " arrived; it must be above 0, or there is nothing to compare");
  RolloutPlan plan;
  plan.estimator = method.estimator;
  plan.steps = steps;
  plan.noise = noise;
  plan.sharing = sharing;
  plan.anchors = method.regularisation.anchors;
  plan.continuation_steps = continuation_steps;
  plan.split_noise_recorded = !method.as_published;
  if (plan.estimator.source == Source::tree) {
    check_tree(plan, method.name);
  }
  RSM_CHECK(plan.rows_per_root() > 0, "[plan] method ", method.name,
            " branches nowhere before the last of ", steps,
            " steps; give estimator.branches a count above 0");
  return plan;
}

RolloutPlan plan_of_epoch(RolloutPlan plan, int64_t epoch, uint64_t run_seed) {
  using Move = WindowKnobs::Move;
  auto& window = plan.estimator.window;
  if (!window.is_on() || window.move == Move::frozen) return plan;
  const int64_t moved = epoch / window.every;
  const int64_t farthest =
      std::max<int64_t>(plan.trainable_steps() - window.size - window.start, 0);
  if (window.move == Move::progressive) {
    window.start += std::min(moved, farthest);
    return plan;
  }
  const auto seed = counted_seed(run_seed, Purpose::trained_steps,
                                 {static_cast<uint64_t>(moved)});
  window.start += static_cast<int64_t>(counted_uniform(seed) *
                                       static_cast<double>(farthest + 1));
  return plan;
}

RolloutIndex lay_out(const RolloutPlan& plan, const Transitions& transitions,
                     const Prompts& prompts, int64_t members) {
  RolloutIndex out;
  out.prompts = prompts;
  out.transitions = transitions;
  out.shared = plan.sharing == Sharing::all;
  if (plan.estimator.forward.is_on()) out.noised_from = plan.steps;
  const int64_t roots = members * std::ssize(prompts);
  for (int64_t root = 0; root < roots; ++root) {
    const int64_t prompt = root / members;
    for (int64_t step = 0; step < plan.trainable_steps(); ++step) {
      lay_out_step(out, plan, root, prompt, step);
    }
    lay_out_forward_rows(out, plan, root, prompt);
    out.image_prompt.insert(out.image_prompt.end(), plan.images_per_root(),
                            prompt);
  }
  return out;
}

}  // namespace rsm
