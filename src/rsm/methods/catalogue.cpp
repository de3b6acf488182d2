#include "rsm/methods/catalogue.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;
using Grouping = EstimatorKnobs::Grouping;
using Spread = EstimatorKnobs::Spread;
using Shape = StrengthKnobs::Shape;
using KlForm = RegularisationKnobs::KlForm;
using Importance = RegularisationKnobs::Importance;
using ClipIn = RegularisationKnobs::ClipIn;

std::vector<Method> make_catalogue() {
  return {
      Method{
          .name = "flow-grpo",
          .source = "arXiv 2505.05470; beta as its release's GenEval run",
          .summary = "clipped ratio on every step of a stochastic path",
          .estimator = {.source = Source::rollout,
                        .grouping = Grouping::prompt,
                        .spread = Spread::global,
                        .branches = {}},
          .strength = {.shape = Shape::constant},
          .regularisation = {.beta = 0.04,
                             .kl_form = KlForm::heuristic,
                             .importance = Importance::ratio,
                             .clip_in = ClipIn::log_ratio},
      },
      Method{
          .name = "tempflow-grpo",
          .source = "arXiv 2508.04324; constants as in arXiv 2604.17415",
          .summary = "branches from one root, weighted by the step's noise",
          .estimator = {.source = Source::branches,
                        .grouping = Grouping::seed,
                        .spread = Spread::group,
                        .branches = branch_profile("base")},
          .strength = {.shape = Shape::noise},
          .regularisation = {.beta = 0.004,
                             .kl_form = KlForm::exact,
                             .importance = Importance::ratio,
                             .clip_in = ClipIn::log_ratio},
      },
      Method{
          .name = "rsm-flow",
          .source = "arXiv 2604.17415, its GenEval redesign",
          .summary = "branches on noisy steps, log-ratio matching, even clips",
          .estimator = {.source = Source::branches,
                        .grouping = Grouping::seed,
                        .spread = Spread::group,
                        .branches = branch_profile("lowsnr2")},
          .strength = {.shape = Shape::sigma},
          .regularisation = {.beta = 0.004,
                             .kl_form = KlForm::exact,
                             .anchors = true,
                             .importance = Importance::matching,
                             .clip_in = ClipIn::variance},
      },
  };
}

template <typename... Parts>
void require(bool condition, const Method& method, const Parts&... parts) {
  if (!condition) throw UsageError(cat("[", method.name, "] ", parts...));
}

void check_branches(const Method& method, int64_t steps) {
  const auto& list = method.estimator.branches;
  const auto listed = static_cast<int64_t>(list.size());
  require(listed > 0, method,
          "source: branches without a list of branches; give one count a "
          "step, or source: rollout");
  require(listed == steps || listed == steps - 1, method, "branches lists ",
          listed, " steps, the sampler takes ", steps,
          "; give one count for each of the ", steps,
          " (the last 0), or sampling steps that fit");
  require(
      std::all_of(list.begin(), list.end(), [](int64_t k) { return k >= 0; }),
      method, "branches has a negative count; allowed: 0 or more");
  require(listed < steps || list.back() == 0, method, "branches ends with ",
          list.back(), " at the last step, which is never trained; set it to ",
          "0");
  require(
      std::any_of(list.begin(), list.end(), [](int64_t k) { return k > 0; }),
      method,
      "branches is 0 at every step, so nothing would be trained; "
      "raise at least one count");
  if (method.estimator.grouping == Grouping::seed) {
    const auto one = std::find(list.begin(), list.end(), 1);
    require(one == list.end(), method, "branches has 1 at step ",
            one - list.begin(), ", and grouping: seed compares the branches ",
            "of one root: a group of one has no spread; use 2 or more there, ",
            "or grouping: prompt");
  }
}

void check_rollout(const Method& method) {
  require(method.estimator.branches.empty(), method,
          "source: rollout with a list of branches; remove the list, or "
          "source: branches");
  require(method.estimator.grouping != Grouping::seed, method,
          "source: rollout with grouping: seed: a root gives one picture, and "
          "a group of one has no spread; use grouping: prompt");
  require(!method.regularisation.anchors, method,
          "source: rollout with anchors: every trained step has a row, so "
          "there is nothing to anchor; set anchors: false");
}

}  // namespace

const std::vector<Method>& catalogue() {
  static const std::vector<Method> methods = make_catalogue();
  return methods;
}

const Method& find_method(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& method : catalogue()) {
    if (method.name == name) return method;
    known.push_back(method.name);
  }
  throw UsageError(cat("[method] ", unknown_word(name, known)));
}

const std::map<std::string, std::vector<int64_t>>& branch_profiles() {
  static const std::map<std::string, std::vector<int64_t>> profiles = {
      {"base", {6, 6, 6, 6, 6, 6, 6, 6, 6, 0}},
      {"highsnr", {3, 3, 4, 5, 6, 7, 7, 8, 11, 0}},
      {"highsnr2", {4, 5, 5, 6, 7, 8, 9, 10, 0, 0}},
      {"base2", {7, 7, 7, 7, 7, 7, 6, 6, 0, 0}},
      {"lowsnr", {6, 6, 8, 10, 11, 13, 0, 0, 0, 0}},
      {"lowsnr2", {6, 6, 8, 10, 0, 0, 0, 0, 0, 0}},
  };
  return profiles;
}

std::vector<int64_t> branch_profile(const std::string& name) {
  const auto found = branch_profiles().find(name);
  if (found != branch_profiles().end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [profile, list] : branch_profiles()) {
    known.push_back(profile);
  }
  throw UsageError(cat("[branches] ", unknown_word(name, known)));
}

void check_method(const Method& method, int64_t steps) {
  require(steps >= 2, method, steps,
          " sampler steps; the last is never trained, so 2 or more are needed");
  if (method.estimator.source == Source::branches) {
    check_branches(method, steps);
  } else {
    check_rollout(method);
  }
  const double scale = method.strength.scale;
  require(std::isfinite(scale) && scale > 0, method, "strength.scale = ", scale,
          "; it must be above 0");
  const auto& knobs = method.regularisation;
  require(std::isfinite(knobs.beta) && knobs.beta >= 0, method,
          "beta = ", knobs.beta, "; it must be 0 or more");
  require(!knobs.anchors || knobs.beta > 0, method,
          "anchors with beta = 0 pull with no force; set beta above 0 or "
          "anchors: false");
  require(knobs.importance == Importance::none || knobs.clip_range > 0, method,
          "clip_range = ", knobs.clip_range,
          "; it must be above 0 (importance: none does not clip)");
  require(knobs.advantage_clip > 0, method,
          "advantage_clip = ", knobs.advantage_clip, "; it must be above 0");
}

}  // namespace rsm
