#include "rsm/rollouts/sampler.h"

#include <algorithm>
#include <map>

#include "rsm/base/error.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/branches.h"
#include "rsm/rollouts/sampling.h"
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

Rollout roll_out(Denoiser& denoiser, const Path& path, const RolloutPlan& plan,
                 const RolloutRequest& request,
                 const OnEvaluations& on_evaluations) {
  check_request(request);
  const torch::NoGradGuard no_grad;
  Sampling sampling(denoiser, path, plan, request, on_evaluations);
  const bool branches = plan.source == EstimatorKnobs::Source::branches;
  return sampling.finish(branches ? draw_branches(sampling)
                                  : draw_trees(sampling));
}

torch::Tensor sample_ode(
    Denoiser& denoiser, const Path& path, const std::vector<double>& times,
    torch::Tensor noise, const Condition& conditions,
    const std::function<void(int64_t, const torch::Tensor&,
                             const torch::Tensor&)>& watch) {
  const torch::NoGradGuard no_grad;
  auto x = std::move(noise);
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    const auto t = at::full({x.size(0)}, times[i], x.options());
    const auto y = denoiser.predict(x, t, conditions);
    if (watch) {
      watch(static_cast<int64_t>(i), x, y);
    }
    x = step(path.ode_step(times, static_cast<int64_t>(i)), x, y, {});
  }
  return x;
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
