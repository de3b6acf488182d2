#include "rsm/analysis/toy_paths.h"

#include "rsm/analysis/loss_guidance.h"
#include "rsm/base/error.h"
#include "rsm/estimators/estimators.h"
#include "rsm/estimators/soft_return.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

/** [c,2,F,1] fields as points [F c,2,1,1], those of one place together. */
torch::Tensor apart(const torch::Tensor& fields) {
  return fields.flatten(2).permute({2, 0, 1}).reshape({-1, 2, 1, 1});
}

/** [c,F,1] costs of fields as those of their points, [F c,1,1]. */
torch::Tensor costs_apart(const torch::Tensor& fields) {
  return fields.flatten(1).t().reshape({-1, 1, 1});
}

}  // namespace

double factor_of(ToyOmega omega, const ToyEstimator& estimator) {
  if (omega == ToyOmega::one || omega == ToyOmega::none) return 1;
  auto steps = estimator;
  if (omega == ToyOmega::unit) {
    steps.grid = {estimator.grid[0], estimator.grid[0] - 1, 0};
  }
  const auto path = steps.path();
  const auto times = path->times(std::ssize(steps.grid) - 1);
  return carried_share(
      path->noisy_step(times, 0, {.kind = SamplerNoise::usual, .level = 1}));
}

ToyPaths::ToyPaths(const ThreeModes& world, Denoiser& network,
                   Denoiser& reference, const ToyEstimator& estimator,
                   const ToyState& state, int64_t samples, uint64_t seed)
    : drawn_(estimator),
      path_(estimator.path()),
      plan_(estimator.plan()),
      network_(network),
      reference_(reference),
      reward_(world) {
  const int64_t leaves = estimator.leaves();
  RSM_CHECK(samples >= leaves && samples % leaves == 0, "[toy] ", samples,
            " samples of ", estimator.label(), "; a multiple of ", leaves,
            ", the leaves of a root, is needed");
  const int64_t roots = samples / leaves;
  RolloutRequest request;
  request.prompts = {{state.number, cat("state ", state.number), ""}};
  request.conditions.tokens = at::zeros({1, 1, 1});
  request.run_seed = seed;
  request.epoch = estimator.grid[0];
  request.latent_shape = {2, roots, 1};
  request.start = state.x.to(at::kFloat)
                      .view({1, 2, 1, 1})
                      .expand({1, 2, roots, 1})
                      .contiguous();
  fields_.conditions = request.conditions;
  fields_.rollout = roll_out(network, *path_, plan_, request, {},
                             running_cost(estimator.method, reference));
  const auto& rollout = fields_.rollout;
  fields_.scores = reward_.score(decoder_.pictures(rollout.latents), {});
  if (estimator.is_first_order()) return;
  points_.x = apart(rollout.x.slice(0, 0, 1));
  points_.y = apart(rollout.y.slice(0, 0, 1));
  points_.x_next = apart(rollout.x_next.slice(0, 0, plan_.branches_at(0)));
  points_.latents = apart(rollout.latents);
  if (rollout.cost.defined()) {
    points_.cost = costs_apart(rollout.cost.slice(0, 0, plan_.branches_at(0)));
  }
  scores_ = reward_.score(decoder_.pictures(points_.latents), {}).value;
}

Sampled ToyPaths::first_steps(int64_t roots, int64_t blocks) const {
  const int64_t rows = plan_.branches_at(0), leaves = plan_.images_per_root();
  const int64_t all = roots * blocks, each = leaves / rows;
  Sampled out;
  auto& index = out.rollout;
  index.prompts.assign(blocks, fields_.rollout.prompts[0]);
  index.transitions = fields_.rollout.transitions;
  for (int64_t root = 0; root < all; ++root) {
    index.state_root.push_back(root);
    index.state_prompt.push_back(root / roots);
    index.state_step.push_back(0);
    for (int64_t row = 0; row < rows; ++row) {
      index.row_state.push_back(root);
      index.row_image.push_back(root * leaves + row * each);
    }
    index.image_prompt.insert(index.image_prompt.end(), leaves, root / roots);
  }
  if (plan_.estimator.source == EstimatorKnobs::Source::tree) {
    index.row_images.assign(all * rows, each);
  }
  index.x = points_.x.slice(0, 0, all);
  index.y = points_.y.slice(0, 0, all);
  index.x_next = points_.x_next.slice(0, 0, all * rows);
  index.latents = points_.latents.slice(0, 0, all * leaves);
  if (points_.cost.defined()) {
    index.cost = points_.cost.slice(0, 0, all * rows);
  }
  out.scores.value = scores_.slice(0, 0, all * leaves);
  return out;
}

GradientParts ToyPaths::parts() const {
  return {reward_, decoder_, *path_, network_, reference_};
}

torch::Tensor ToyPaths::zeroth(const ToyEstimator& estimator, int64_t roots,
                               int64_t blocks) const {
  const auto sampled = first_steps(roots, blocks);
  const auto guidance =
      make_estimator(estimator.method, 0, parts())->guide(sampled, 0);
  const auto each = loss_guidance(estimator.method, sampled.rollout, guidance,
                                  all_states(sampled.rollout));
  // The update's mean is over all blocks; a block's share of it is its own.
  return each.view({blocks, roots, 2}).sum(1) * static_cast<double>(blocks);
}

torch::Tensor ToyPaths::first(const ToyEstimator& estimator) const {
  const auto guidance =
      make_estimator(estimator.method, 0, parts())->guide(fields_, 0);
  const auto field =
      loss_guidance(estimator.method, fields_.rollout, guidance, {0});
  return apart(field).view({-1, 2});
}

std::vector<torch::Tensor> ToyPaths::estimates(
    const ToyEstimator& estimator, const std::vector<ToyBlocks>& sizes) const {
  RSM_CHECK(serves(estimator), "[toy] ", estimator.label(),
            " asked of paths of ", drawn_.label(), "; draw its own");
  std::vector<torch::Tensor> out;
  const auto each =
      estimator.is_first_order() ? first(estimator) : torch::Tensor();
  for (const auto& [samples, count] : sizes) {
    out.push_back(each.defined()
                      ? each.slice(0, 0, samples * count)
                            .view({count, samples, 2})
                            .mean(1)
                      : zeroth(estimator, samples / estimator.leaves(), count));
  }
  return out;
}

}  // namespace rsm
