#include <torch/cuda.h>
#include <torch/optim/adamw.h>

#include <algorithm>

#include "rsm/base/clock.h"
#include "rsm/base/random.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/image_model.h"
#include "rsm/models/policy.h"
#include "rsm/runs/forecast.h"

namespace rsm {
namespace {

/** Network calls each core makes while timed; the first round is not. */
constexpr int64_t kTimedCalls = 3;

/** A batch of noise that fills every core's tiles so often. */
struct Batch {
  torch::Tensor x, t;
  Condition condition;

  Batch(const ImageModel& model, const Condition& text, const RunOptions& o,
        const TileOptions& tiles, int64_t calls)
      : condition(text) {
    const int64_t rows = tiles.tile * tiles.workers * calls;
    auto shape = model.latent_shape(o.size);
    shape.insert(shape.begin(), rows);
    x = counted_normal(counted_seed(o.seed, Purpose::bench, {1}), shape)
            .to(o.device);
    t = at::full({rows}, 0.7, x.options());
  }
  int64_t size() const { return x.size(0); }
  ConditionRows conditions() const {
    return {condition, at::zeros({size()}, at::kLong)};
  }
};

/** Until all is computed: a GPU's kernels are only started by a call. */
void wait_for(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

/** Seconds a row takes, once warm. */
template <typename Work>
double seconds_per_row(const ImageModel& model, const Condition& text,
                       const RunOptions& options, const TileOptions& tiles,
                       const Work& work) {
  work(Batch(model, text, options, tiles, 1));
  const Batch batch(model, text, options, tiles, kTimedCalls);
  wait_for(options.device);
  const Clock clock;
  work(batch);
  wait_for(options.device);
  return clock.seconds() / static_cast<double>(batch.size());
}

double update_seconds_per_row(const ImageModel& model, const Condition& text,
                              const RunOptions& o, Policy& policy,
                              torch::optim::AdamW& optimiser) {
  return seconds_per_row(
      model, text, o, o.train_tiles, [&](const Batch& batch) {
        const auto gradients = policy.trained_network().gradients(
            batch.x, batch.t, batch.conditions(), policy.parameters(),
            [](int64_t, int64_t, const torch::Tensor& y) {
              return at::zeros_like(y);
            });
        for (size_t i = 0; i < gradients.size(); ++i) {
          policy.parameters()[i].mutable_grad() = gradients[i];
        }
        optimiser.step();  // with zero gradients: makes its state
      });
}

/** Decoded and judged, one on each core: many, unless these take long. */
double seconds_per_image(const ImageModel& model, const RunOptions& o,
                         const Prompts& prompts, const Reward& reward) {
  constexpr int64_t kMany = 64;
  constexpr double kLong = 0.1;
  const auto timed = [&](int64_t count) {
    Prompts some;
    for (int64_t i = 0; i < count; ++i) {
      some.push_back(prompts[i % prompts.size()]);
    }
    auto shape = model.latent_shape(o.size);
    shape.insert(shape.begin(), count);
    const auto latents =
        counted_normal(counted_seed(o.seed, Purpose::bench, {2}), shape);
    const Clock clock;
    reward.score(model.decoder->decode(latents), some);
    return clock.seconds() / static_cast<double>(count);
  };
  const int64_t cores = o.rollout_tiles.workers;
  timed(cores);  // warms up
  const double few = timed(cores);
  return few * static_cast<double>(cores) > kLong ? few : timed(kMany);
}

}  // namespace

EpochCost measure_cost(const RunOptions& o, const Forecast& f) {
  const auto model = ImageModel::load(o.model, o.model_options());
  const auto text = model.text->encode({o.negative_prompt, "a picture"});
  model.text->release();
  const auto one = [&](int64_t row) {
    return text.map([&](const torch::Tensor& both) {
      return both.slice(0, row, row + 1).to(o.device);
    });
  };
  Policy policy(model.network, one(0), o.policy());
  torch::optim::AdamW optimiser(policy.parameters(),
                                torch::optim::AdamWOptions(0));
  const NoProgress silent;
  const auto reward = make_any_rewards(o.rewards, silent);
  const auto prompts = load_prompts(o.train_prompts);
  const Condition picture = one(1);
  const auto predict = [&](Denoiser& denoiser, const TileOptions& tiles) {
    return seconds_per_row(model, picture, o, tiles, [&](const Batch& batch) {
      denoiser.predict(batch.x, batch.t, batch.conditions());
    });
  };
  const auto scaled = [](double seconds, int64_t count) {
    return seconds * static_cast<double>(count);
  };
  EpochCost cost;
  const double rollout = predict(policy.copy(Copy::rollout), o.rollout_tiles);
  const double evaluation =
      o.eval_guidance_scale == o.guidance_scale
          ? rollout
          : predict(policy.copy(Copy::evaluation), o.rollout_tiles);
  const double training = predict(policy.copy(Copy::training), o.train_tiles);
  const double update =
      update_seconds_per_row(model, picture, o, policy, optimiser);
  cost.rollout_seconds = rollout * f.mean_rollout;
  cost.old_seconds =
      scaled(training, f.evaluations.old + f.evaluations.reference);
  cost.update_seconds =
      scaled(update, f.evaluations.update + f.evaluations.guidance);
  const double image = seconds_per_image(model, o, prompts, *reward);
  cost.reward_seconds = scaled(image, f.images);
  cost.evaluation_seconds = scaled(evaluation, f.evaluation_evaluations) +
                            scaled(image, f.evaluation_images);
  return cost;
}

}  // namespace rsm
