#include "rsm/methods/profiles.h"

#include <map>

#include "rsm/base/error.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

constexpr const char* kFourSplits = "four-splits";

/** Branch counts for 10 steps. */
const std::map<std::string, std::vector<int64_t>>& lists() {
  static const std::map<std::string, std::vector<int64_t>> lists = {
      {"highsnr", {3, 3, 4, 5, 6, 7, 7, 8, 11, 0}},
      {"highsnr2", {4, 5, 5, 6, 7, 8, 9, 10, 0, 0}},
      {"base2", {7, 7, 7, 7, 7, 7, 6, 6, 0, 0}},
      {"lowsnr", {6, 6, 8, 10, 11, 13, 0, 0, 0, 0}},
      {"lowsnr2", {6, 6, 8, 10, 0, 0, 0, 0, 0, 0}},
  };
  return lists;
}

std::vector<int64_t> split_steps(int64_t steps) {
  std::vector<int64_t> splits;
  for (const int64_t of_twenty : {0, 3, 6, 9}) {
    const int64_t step = of_twenty * steps / 20;
    if (splits.empty() || step > splits.back()) splits.push_back(step);
  }
  return splits;
}

}  // namespace

std::vector<std::string> branch_profiles() {
  std::vector<std::string> names = {"base", "five", "five-four"};
  for (const auto& [name, list] : lists()) names.push_back(name);
  return names;
}

std::vector<int64_t> branch_profile(const std::string& name, int64_t steps) {
  std::vector<int64_t> out(static_cast<size_t>(steps), 0);
  if (name == "base") {
    for (int64_t i = 0; i + 1 < steps; ++i) out[i] = 6;
    return out;
  }
  if (name == "five" || name == "five-four") {
    for (int64_t k = 0; k < 5; ++k) {
      if (k * steps / 5 < steps - 1) {
        out[k * steps / 5] = name == "five" ? 20 : 4;
      }
    }
    return out;
  }
  const auto found = lists().find(name);
  if (found == lists().end()) {
    throw UsageError(cat("[profile] ", unknown_word(name, branch_profiles())));
  }
  const auto listed = static_cast<int64_t>(found->second.size());
  if (listed != steps) {
    throw UsageError(cat("[profile] the budget ", name, " is for ", listed,
                         " sampler steps, the sampler takes ", steps,
                         "; set method.estimator.profile to base or five, or "
                         "list method.estimator.branches"));
  }
  return found->second;
}

void fit_splits(EstimatorKnobs& knobs, int64_t steps) {
  if (knobs.profile == kFourSplits) {
    knobs.tree.split_steps = split_steps(steps);
  }
}

Method fitted(Method method, int64_t steps) {
  auto& knobs = method.estimator;
  if (knobs.source == EstimatorKnobs::Source::tree) {
    fit_splits(knobs, steps);
  } else if (!knobs.profile.empty()) {
    knobs.branches = branch_profile(knobs.profile, steps);
  }
  return method;
}

Method for_family(Method method, std::optional<Family> family) {
  auto& noise = method.estimator.noise;
  const bool of_flows =
      noise == SamplerNoise::constant || noise == SamplerNoise::cps ||
      noise == SamplerNoise::precise || noise == SamplerNoise::churn;
  const bool of_diffusion = noise == SamplerNoise::even_weight;
  if ((of_flows && family == Family::diffusion) ||
      (of_diffusion && family == Family::flow)) {
    noise = SamplerNoise::usual;
  }
  return method;
}

std::string replaced_sampler(const Method& entry,
                             std::optional<Family> family) {
  const auto there = for_family(entry, family).estimator.noise;
  if (there == entry.estimator.noise) return "";
  return cat("the method ", entry.name, " was published with the sampler ",
             to_string(entry.estimator.noise), ", which ", to_string(family),
             " models don't have: they take ", to_string(there),
             ", so results are not those of the paper");
}

}  // namespace rsm
