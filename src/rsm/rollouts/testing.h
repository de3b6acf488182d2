#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/methods/catalogue.h"
#include "rsm/rollouts/gaussian_testing.h"
#include "rsm/rollouts/sampler.h"

/** What tests of rollouts share; no part of the library includes this. */
namespace rsm {

const std::vector<int64_t> kShape = {2, 3, 3};

/** Prompts with ids from 10 on, whose pictures have means 0, 0.1, ... */
inline RolloutRequest request_for(int64_t prompts, int64_t members) {
  RolloutRequest request;
  std::vector<float> means;
  for (int64_t p = 0; p < prompts; ++p) {
    request.prompts.push_back({10 + p, "prompt", ""});
    means.push_back(0.1f * static_cast<float>(p));
  }
  request.conditions.tokens = at::zeros({prompts, 1, 1});
  request.conditions.pooled = torch::tensor(means).view({prompts, 1});
  request.members = members;
  request.run_seed = 7;
  request.epoch = 3;
  request.latent_shape = kShape;
  return request;
}

/** The request for these of its prompt entries, in this order. */
inline RolloutRequest entries_of(RolloutRequest request,
                                 const std::vector<int64_t>& entries) {
  Prompts prompts;
  for (const int64_t e : entries) {
    prompts.push_back(request.prompts[e]);
  }
  request.prompts = std::move(prompts);
  request.conditions =
      request.conditions.select(torch::tensor(entries, at::kLong));
  return request;
}

/** The documented noise of a step of one of the request's roots, [C,H,W]. */
inline torch::Tensor counted_step_noise(const RolloutRequest& request,
                                        int64_t prompt, int64_t member,
                                        int64_t step, int64_t branch) {
  const auto seed =
      counted_seed(request.run_seed, Purpose::step_noise,
                   {static_cast<uint64_t>(request.epoch),
                    static_cast<uint64_t>(request.prompts[prompt].id),
                    static_cast<uint64_t>(member), static_cast<uint64_t>(step),
                    static_cast<uint64_t>(branch)});
  return counted_normal(seed, request.latent_shape);
}

/** A method's plan on a path, with the noise it would take there. */
inline RolloutPlan plan_on(const Path& path, const Method& method) {
  const auto there = for_family(method, path.family());
  const auto kind = there.estimator.noise;
  // PCPO's weight of 4.5 exists on grids as fine as its own.
  const int64_t steps =
      kind == SamplerNoise::even_weight ? 50 : kCatalogueSteps;
  return make_plan(fitted(there, steps), steps,
                   {.kind = kind, .level = usual_level(kind, path.family())});
}

/** A plan of so many steps with the usual noise. */
inline RolloutPlan plan_of(const Path& path, const EstimatorKnobs& knobs,
                           int64_t steps) {
  Method method;
  method.estimator = knobs;
  StepNoise noise;
  noise.level = usual_level(noise.kind, path.family());
  return make_plan(method, steps, noise);
}

/** One entry of the catalogue on one path. */
struct Planned {
  std::string name;
  PathPointer path;
  RolloutPlan plan;
};

/** Every method whose rows are all steps that draw noise, on every path. */
inline std::vector<Planned> planned_catalogue() {
  std::vector<Planned> all;
  for (const auto& path : both_paths()) {
    for (const auto& method : catalogue()) {
      if (!method.estimator.draws_rows() ||
          method.estimator.noises_pictures()) {
        continue;
      }
      all.push_back({cat(method.name, " on ", name_of(*path)), path,
                     plan_on(*path, method)});
    }
  }
  return all;
}

/** A tree whose nodes have `children` at each of `split_steps`. */
inline RolloutPlan tree_plan(const Path& path, int64_t steps,
                             std::vector<int64_t> split_steps,
                             int64_t children) {
  RolloutPlan plan;
  plan.estimator.source = EstimatorKnobs::Source::tree;
  plan.steps = steps;
  plan.noise.level = usual_level(SamplerNoise::usual, path.family());
  plan.estimator.tree.split_steps = std::move(split_steps);
  plan.estimator.tree.children = children;
  return plan;
}

inline Rollout roll_out_with_gaussian(const PathPointer& path,
                                      const RolloutPlan& plan,
                                      const RolloutRequest& request) {
  GaussianDenoiser denoiser(path);
  return roll_out(denoiser, *path, plan, request);
}

/** The same in two parts, the first prompt last. */
inline Rollout roll_out_in_parts(const PathPointer& path,
                                 const RolloutPlan& plan,
                                 const RolloutRequest& request) {
  GaussianDenoiser denoiser(path);
  auto out = make_room(*path, plan, request);
  const int64_t others = std::ssize(request.prompts) - 1;
  draw(denoiser, *path, plan, request, {1, others}, out);
  draw(denoiser, *path, plan, request, {0, 1}, out);
  return out;
}

}  // namespace rsm
