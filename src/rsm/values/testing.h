#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "rsm/estimators/gradient_testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/models/unet_testing.h"
#include "rsm/rollouts/testing.h"
#include "rsm/values/value_gradient.h"

/** What tests of value networks share; no part of the library includes this. */
namespace rsm {

/** An entry of the catalogue on the Gaussian model of its family, with a small
 * g whose outputs are of the size of the model's. */
struct ValueSetting {
  explicit ValueSetting(const std::string& name, int64_t steps = 5)
      : method(find_method(name)),
        path(method.family == Family::flow ? flow_path() : diffusion_path()),
        reference(path),
        policy(path) {
    method.strength.scale = 0.5;
    method.estimator.gradient.times = 0;
    auto& value = method.estimator.gradient.value;
    value.kind = ValueKnobs::Kind::small;
    value.channels = {8, 12};
    value.output_scale = 3;
    value.difference = 1e-2;  // of which float32 keeps five digits
    value.terminal = 2;
    value.backward = 0.7;
    auto request = request_for(2, 2);
    request.latent_shape = {3, 4, 4};
    request.conditions.tokens = counted_normal(3, {2, 2, 10});
    StepNoise noise;
    noise.level = usual_level(noise.kind, path->family());
    sampled.rollout =
        roll_out(policy, *path, make_plan(method, steps, noise), request);
    sampled.conditions = request.conditions;
    sampled.scores.value = at::zeros({sampled.rollout.images()});
  }

  GradientParts parts() { return {reward, decoder, *path, policy, reference}; }
  ValueParts value_parts(int64_t workers = 1) const {
    return {random_unet().ptr(), {.tile = 4, .workers = workers}};
  }
  std::unique_ptr<ValueGradient> estimator(int64_t workers = 1) {
    return std::make_unique<ValueGradient>(method, 1, parts(),
                                           value_parts(workers));
  }

  Method method;
  PathPointer path;
  GaussianDenoiser reference;
  StretchedGaussian policy;
  CurvedReward reward;
  SquashedPixels decoder;
  Sampled sampled;
};

}  // namespace rsm
