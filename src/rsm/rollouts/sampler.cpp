#include "rsm/rollouts/sampler.h"

#include <algorithm>
#include <map>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rollouts/branches.h"
#include "rsm/rollouts/judged_steps.h"
#include "rsm/rollouts/pairs.h"
#include "rsm/rollouts/pictures.h"
#include "rsm/rollouts/sampling.h"
#include "rsm/rollouts/trajectories.h"
#include "rsm/rollouts/trees.h"

namespace rsm {
namespace {

void check_request(const RolloutRequest& request) {
  const auto prompts = static_cast<int64_t>(request.prompts.size());
  const int64_t conditions =
      request.conditions.tokens.defined() ? request.conditions.size() : 0;
  RSM_CHECK(prompts > 0 && request.members > 0 && conditions == prompts,
            "[roll_out] ", prompts, " prompts with ", conditions,
            " conditions and ", request.members,
            " members arrived; one condition a prompt and at least one member "
            "are needed");
  const auto& first = request.first_member;
  RSM_CHECK(first.empty() || static_cast<int64_t>(first.size()) == prompts,
            "[roll_out] ", first.size(), " first members for ", prompts,
            " prompts arrived; one a prompt, or none, is needed");
  const auto below = std::find_if(first.begin(), first.end(),
                                  [](int64_t number) { return number < 0; });
  RSM_CHECK(below == first.end(), "[roll_out] first member ", *below,
            " of prompt ", below - first.begin(),
            " arrived; members are numbered from 0");
  if (!request.start.defined()) return;
  auto shape = request.latent_shape;
  shape.insert(shape.begin(), prompts);
  RSM_CHECK(request.start.sizes() == at::IntArrayRef(shape) &&
                request.start.scalar_type() == at::kFloat,
            "[roll_out] states ", request.start.sizes(), " ",
            request.start.dtype(), " to begin at; ", at::IntArrayRef(shape),
            " float32 is needed, one an entry");
}

}  // namespace

std::vector<int64_t> RolloutRequest::first_members() const {
  if (!first_member.empty()) {
    return first_member;
  }
  std::vector<int64_t> first;
  std::map<int64_t, int64_t> drawn;  // members so far, by prompt id
  for (const auto& prompt : prompts) {
    first.push_back(drawn[prompt.id]);
    drawn[prompt.id] += members;
  }
  return first;
}

Rollout make_room(const Path& path, const RolloutPlan& plan,
                  const RolloutRequest& request) {
  check_request(request);
  Rollout out;
  static_cast<RolloutIndex&>(out) =
      lay_out(plan, plan.transitions(path), request.prompts, request.members);
  if (plan.estimator.noises_pictures()) {
    out.own = own_rows(path, plan, request);
  }
  if (out.noised_from > 0) {
    const auto rows = plan.noised_rows(path);
    out.transitions.insert(out.transitions.end(), rows.begin(), rows.end());
  }
  const auto room = [&](int64_t count) {
    std::vector<int64_t> shape = {count};
    shape.insert(shape.end(), request.latent_shape.begin(),
                 request.latent_shape.end());
    return at::empty(shape, at::kFloat);
  };
  out.x = room(out.states());
  out.y = room(plan.estimator.is_of_pictures() ? 0 : out.states());
  if (out.noised_from > 0) out.y.zero_();  // where the network is not asked
  const bool leads_on =
      !plan.estimator.is_first_order() && !plan.estimator.is_of_pairs();
  out.x_next = room(leads_on ? out.rows() : 0);
  out.latents = room(out.images());
  if (plan.estimator.counts_costs()) {
    const auto& latent = request.latent_shape;
    out.cost = at::empty({out.rows(), latent[1], latent[2]}, at::kFloat);
    out.reference.states = paying_states(plan, out);
    out.reference.y = room(std::ssize(out.reference.states));
  }
  return out;
}

void draw(Denoiser& denoiser, const Path& path, const RolloutPlan& plan,
          const RolloutRequest& request, PromptRange part, Rollout& out,
          const OnEvaluations& on_evaluations, const RunningCost& cost) {
  const int64_t prompts = std::ssize(request.prompts);
  RSM_CHECK(
      part.first >= 0 && part.count > 0 && part.first <= prompts - part.count,
      "[roll_out] ", part.count, " prompts from ", part.first,
      " on of a request with ", prompts, "; at least one, within 0 to ",
      prompts - 1, ", is needed");
  RSM_CHECK(!plan.estimator.counts_costs() || cost.reference != nullptr,
            "[roll_out] a plan of soft returns without the reference that they "
            "pay for leaving; hand it over, or take hard returns");
  const torch::NoGradGuard no_grad;
  Sampling sampling(denoiser, path, plan, request, part, out, on_evaluations,
                    cost);
  switch (plan.estimator.source) {
    case EstimatorKnobs::Source::branches:
      draw_branches(sampling);
      break;
    case EstimatorKnobs::Source::rollout:
    case EstimatorKnobs::Source::tree:
      plan.estimator.judges_every_step() ? draw_judged_steps(sampling)
                                         : draw_trees(sampling);
      break;
    case EstimatorKnobs::Source::trajectory:
      draw_trajectories(sampling);
      break;
    case EstimatorKnobs::Source::pictures:
      draw_pictures(sampling);
      break;
    case EstimatorKnobs::Source::pairs:
      draw_pairs(sampling);
      break;
  }
}

Rollout roll_out(Denoiser& denoiser, const Path& path, const RolloutPlan& plan,
                 const RolloutRequest& request,
                 const OnEvaluations& on_evaluations, const RunningCost& cost) {
  auto out = make_room(path, plan, request);
  draw(denoiser, path, plan, request, {0, std::ssize(request.prompts)}, out,
       on_evaluations, cost);
  return out;
}

torch::Tensor sample_ode(Denoiser& denoiser, const Path& path,
                         const std::vector<double>& times, torch::Tensor noise,
                         const ConditionRows& conditions, const OnStep& watch) {
  return sample_by({}, denoiser, path, times, std::move(noise), conditions, {},
                   watch);
}

torch::Tensor sample_by(const Solving& solving, Denoiser& denoiser,
                        const Path& path, const std::vector<double>& times,
                        torch::Tensor noise, const ConditionRows& conditions,
                        const NoiseAt& step_noise, const OnStep& watch) {
  const torch::NoGradGuard no_grad;
  return solved(
      solving, path, times, std::move(noise),
      [&](const torch::Tensor& x, int64_t i) {
        const auto t = at::full({x.size(0)}, times[i], x.options());
        auto y = denoiser.predict(x, t, conditions);
        if (watch) watch(i, x, y);
        return y;
      },
      step_noise);
}

torch::Tensor initial_noise(uint64_t run_seed, Purpose purpose, int64_t epoch,
                            const Prompt& prompt, int64_t member,
                            const std::vector<int64_t>& latent_shape) {
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), latent_shape.begin(), latent_shape.end());
  return counted_normal(counted_seed(run_seed, purpose,
                                     {static_cast<uint64_t>(epoch),
                                      static_cast<uint64_t>(prompt.id),
                                      static_cast<uint64_t>(member)}),
                        shape);
}

}  // namespace rsm
