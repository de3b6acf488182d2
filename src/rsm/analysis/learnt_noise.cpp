#include "rsm/analysis/learnt_noise.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

#include "rsm/base/random.h"
#include "rsm/models/initial_values.h"

namespace rsm {
namespace {

/** Waves by which a network knows the time. */
constexpr int64_t kWaves = 8;

/** [N,2 kWaves] of times [N,1]: sines and cosines of half a turn and its
 * doubles. */
torch::Tensor waves_of(const torch::Tensor& t) {
  const auto turns =
      at::exp2(at::arange(kWaves, t.options())) * std::numbers::pi;
  return at::cat({at::sin(t * turns), at::cos(t * turns)}, 1);
}

/** The rows of a field [B,C,H,W] as points [B H W,C]. */
torch::Tensor points_of(const torch::Tensor& field) {
  return field.permute({0, 2, 3, 1}).reshape({-1, field.size(1)});
}

torch::Tensor field_of(const torch::Tensor& points, const torch::Tensor& like) {
  return points.view({like.size(0), like.size(2), like.size(3), like.size(1)})
      .permute({0, 3, 1, 2})
      .contiguous();
}

/** Noised points of a mixture, and their noise. */
struct Batch {
  torch::Tensor x, t, noise;
};

Batch drawn(const GaussianMixture& mixture, const torch::Tensor& signals,
            int64_t count, uint64_t seed) {
  const auto source = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto real = at::TensorOptions(at::kFloat);
  const auto mode = at::multinomial(mixture.log_weights().exp(), count,
                                    /*replacement=*/true, source);
  const auto means = mixture.means().index_select(0, mode).to(real);
  const auto normal = [&] {
    return at::empty(means.sizes(), real).normal_(0, 1, source);
  };
  const auto points = means + normal();
  const auto steps = signals.size(0);
  const auto timestep = at::empty({count}, at::kLong).random_(1, steps, source);
  const auto signal = signals.index_select(0, timestep).unsqueeze(1);
  Batch out;
  out.noise = normal();
  out.t = timestep.to(real).unsqueeze(1) / static_cast<double>(steps);
  out.x = signal * points + (1 - signal.square()).sqrt() * out.noise;
  return out;
}

}  // namespace

struct LearntNoise::Network : torch::nn::Module {
  Network(int64_t dimensions, int64_t width, uint64_t seed) {
    layers->push_back(torch::nn::Linear(dimensions + 2 * kWaves, width));
    for (int64_t hidden = 0; hidden < 2; ++hidden) {
      layers->push_back(torch::nn::SiLU());
      layers->push_back(torch::nn::Linear(width, width));
    }
    layers->push_back(torch::nn::SiLU());
    layers->push_back(torch::nn::Linear(width, dimensions));
    register_module("layers", layers);
    const torch::NoGradGuard no_grad;
    uint64_t number = 0;
    for (const auto& item : named_parameters()) {
      set_initial_value(item.key(), item.value(),
                        counted_seed(seed, Purpose::model_init, {number++}));
    }
  }

  /** Points [N,D] and times [N,1] -> [N,D]. */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& t) {
    return layers->forward(at::cat({x, waves_of(t)}, 1));
  }
  /** Fields and times [B]. */
  torch::Tensor of_field(const torch::Tensor& x, const torch::Tensor& t) {
    const auto each = x.size(2) * x.size(3);
    const auto times = t.to(x.options()).repeat_interleave(each).unsqueeze(1);
    return field_of(forward(points_of(x), times), x);
  }

  torch::nn::Sequential layers;
};

LearntNoise::LearntNoise(const GaussianMixture& mixture,
                         const std::vector<double>& alpha_bars,
                         const NoiseLearning& options, Progress& progress)
    : network_(std::make_unique<Network>(mixture.means().size(1), options.width,
                                         options.seed)) {
  const at::AutoGradMode enabled(true);
  const auto signals =
      torch::tensor(alpha_bars, at::kDouble).sqrt().to(at::kFloat);
  torch::optim::AdamW optimiser(
      network_->parameters(),
      torch::optim::AdamWOptions(options.rate).weight_decay(0));
  progress.begin("learning", options.steps);
  for (int64_t step = 0; step < options.steps; ++step) {
    progress.stop_point();
    const double way =
        static_cast<double>(step) / static_cast<double>(options.steps);
    static_cast<torch::optim::AdamWOptions&>(
        optimiser.param_groups()[0].options())
        .lr(0.5 * options.rate * (1 + std::cos(std::numbers::pi * way)));
    const auto batch = drawn(mixture, signals, options.batch,
                             counted_seed(options.seed, Purpose::data,
                                          {static_cast<uint64_t>(step)}));
    optimiser.zero_grad();
    (network_->forward(batch.x, batch.t) - batch.noise)
        .square()
        .mean()
        .backward();
    optimiser.step();
    progress.update(step + 1, "");
  }
  progress.end();
  for (const auto& parameter : network_->parameters()) {
    parameter.set_requires_grad(false);
  }
}

LearntNoise::~LearntNoise() = default;

torch::Tensor LearntNoise::predict(const torch::Tensor& x,
                                   const torch::Tensor& t,
                                   const ConditionRows& /*conditions*/) {
  const torch::NoGradGuard no_grad;
  return network_->of_field(x, t);
}

torch::Tensor LearntNoise::pull_back(const torch::Tensor& x,
                                     const torch::Tensor& t,
                                     const ConditionRows& /*conditions*/,
                                     const OutputGradient& output_gradient) {
  const at::AutoGradMode enabled(true);
  const auto leaf = x.detach().requires_grad_(true);
  const auto y = network_->of_field(leaf, t);
  const auto gradient = output_gradient(0, x.size(0), y.detach());
  return torch::autograd::grad({y}, {leaf}, {gradient.to(y.options())})[0];
}

}  // namespace rsm
