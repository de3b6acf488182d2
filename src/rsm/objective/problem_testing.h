#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/testing.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/path.h"

/** Random rows to ask for the loss of. */
namespace rsm {

/** A reweighting on branched rows, with every knob at work. */
inline Method method_of(const std::string& name,
                        RegularisationKnobs::Importance importance,
                        RegularisationKnobs::KlForm kl_form) {
  Method method = reweighted(name, importance);
  method.estimator.branches = {3, 4, 2, 5, 2, 0, 3, 0, 4, 0};
  method.regularisation.beta = 0.05;
  method.regularisation.kl_form = kl_form;
  method.regularisation.anchors = true;
  method.regularisation.clip_range = 1e-5;
  return method;
}

inline std::vector<Method> every_form() {
  using Importance = RegularisationKnobs::Importance;
  using KlForm = RegularisationKnobs::KlForm;
  std::vector<Method> methods;
  for (const auto form :
       {KlForm::exact, KlForm::heuristic, KlForm::unweighted}) {
    for (const auto importance : {Importance::ratio, Importance::matching}) {
      for (const std::string name : {"base", "tempflow", "pcpo", "even",
                                     "guard", "fairclip", "fairclip2"}) {
        methods.push_back(method_of(name, importance, form));
      }
    }
    methods.push_back(method_of("reinforce", Importance::none, form));
  }
  return methods;
}

inline std::string label(const Method& method) {
  return cat(method.name, " importance ",
             static_cast<int>(method.regularisation.importance), " kl ",
             static_cast<int>(method.regularisation.kl_form), " mask ",
             static_cast<int>(method.regularisation.mask), " published ",
             method.as_published);
}

inline torch::Tensor random_states(uint64_t seed, int64_t size) {
  return counted_normal(seed, {size, 2, 3, 4}).to(torch::kFloat64);
}

/** Ten steps of each kind of sampler; the flow's is the tables' own. */
inline const std::vector<std::pair<std::string, Transitions>>& every_sampler() {
  static const auto samplers = [] {
    const auto flow = Path::from_json(FlowMatchSchedule{}.to_json());
    const auto diffusion = Path::from_json(DdimSchedule{}.to_json());
    const auto steps = [](const Path& path, SamplerNoise kind) {
      const StepNoise noise = {.kind = kind,
                               .level = usual_level(kind, path.family())};
      return path.noisy_steps(path.times(10), noise);
    };
    return std::vector<std::pair<std::string, Transitions>>{
        {"Flow-SDE", steps(*flow, SamplerNoise::usual)},
        {"CPS", steps(*flow, SamplerNoise::cps)},
        {"constant", steps(*flow, SamplerNoise::constant)},
        {"DDIM", steps(*diffusion, SamplerNoise::usual)},
        {"even weight", steps(*diffusion, SamplerNoise::even_weight)}};
  }();
  return samplers;
}

struct Problem {
  Rollout rollout;
  Advantages advantages;
  torch::Tensor y, y_old, y_ref;  ///< at all states
  std::vector<int64_t> states;
};

/** Three roots of a branched 10-step rollout, float64, with dead groups and a
 * live row right at its group's mean. */
inline Problem random_problem(
    const Method& method,
    const Transitions& steps = every_sampler().front().second) {
  Problem out;
  auto& rollout = out.rollout;
  rollout.transitions = steps;
  for (int64_t root = 0; root < 3; ++root) {
    for (int64_t step = 0; step < 9; ++step) {
      out.states.push_back(rollout.states());
      for (int64_t k = 0; k < method.estimator.branches[step]; ++k) {
        rollout.row_state.push_back(rollout.states());
        rollout.row_image.push_back(rollout.images());
        rollout.image_prompt.push_back(0);
      }
      rollout.state_root.push_back(root);
      rollout.state_prompt.push_back(0);
      rollout.state_step.push_back(step);
    }
  }
  const int64_t states = rollout.states();
  rollout.x = random_states(1, states);
  out.y_old = random_states(2, states);
  // Far enough that some rows clip and some don't, in every measure.
  out.y = out.y_old + 0.01 * random_states(3, states);
  out.y_ref = out.y_old + 0.02 * random_states(4, states);
  const auto eps = random_states(5, rollout.rows());
  std::vector<torch::Tensor> x_next;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t state = rollout.row_state[r];
    const auto& step = rollout.transitions[rollout.state_step[state]];
    x_next.push_back(mean_of(rollout.x[state], out.y_old[state], step) +
                     step.s * eps[r]);
  }
  rollout.x_next = torch::stack(x_next);
  auto rewards = counted_normal(6, {rollout.rows()});
  // The first two states' rewards are equal: dead groups.
  rewards.slice(0, 0, 7).fill_(0.3);
  // So is the first of the fourth state's five to their mean: no rounding.
  RSM_CHECK(method.estimator.branches[3] == 5,
            "[random_problem] a fourth "
            "step of ",
            method.estimator.branches[3], " branches; take 5");
  const int64_t fourth = 7 + method.estimator.branches[2];
  rewards.slice(0, fourth, fourth + 5)
      .copy_(torch::tensor({0.5, 0.25, 0.75, 0.0, 1.0}));
  rollout.latents = torch::zeros({rollout.images(), 1, 1, 1});
  RewardScores scores;
  scores.value = rewards;
  out.advantages =
      row_advantages(rollout, scores, method.estimator, 5, nullptr);
  return out;
}

/** The same with its tensors on a device. */
inline Problem moved(Problem problem, torch::Device device) {
  auto& rollout = problem.rollout;
  for (auto* tensor : {&rollout.x, &rollout.x_next, &rollout.latents,
                       &problem.y, &problem.y_old, &problem.y_ref}) {
    *tensor = tensor->to(device);
  }
  return problem;
}

/** Terms of `states` of an update that takes them all. */
inline LossTerms terms_of(const Method& method, const Problem& problem,
                          const std::vector<int64_t>& states) {
  return loss_terms(method, problem.rollout,
                    outputs_of(problem.y_old, problem.y_ref),
                    {problem.advantages, {}},
                    update_weights(method, problem.rollout, problem.advantages,
                                   problem.states),
                    states, problem.y.device());
}

inline LossResult loss_of(const Method& method, const Problem& problem) {
  const auto terms = terms_of(method, problem, problem.states);
  return rsm_loss(problem.y, terms.states, terms.rows);
}

inline double relative(const torch::Tensor& actual,
                       const torch::Tensor& expected) {
  return ((actual - expected).norm() / expected.norm()).item<double>();
}

}  // namespace rsm
