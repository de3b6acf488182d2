#pragma once

#include <initializer_list>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/method.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** Words and values of an enum, in their order. */
template <typename Enum>
using Words = std::vector<std::pair<std::string, Enum>>;

/** `names` as they stand in a list of the values. */
template <typename Enum>
Words<Enum> named(const std::string& names,
                  std::initializer_list<Enum> values) {
  Words<Enum> out;
  std::istringstream left(names);
  std::string word;
  for (const Enum value : values) {
    left >> word;
    if (word.ends_with(',')) word.pop_back();
    out.emplace_back(word, value);
  }
  return out;
}

// The words that configs, tables and logs use for the knobs of a method: the
// names of the values in base/method.h, and of solvers.
#define RSM_WORDS(Enum, ...)                                                   \
  inline const Words<Enum>& words_of(Enum) {                                   \
    using enum Enum;                                                           \
    static const Words<Enum> words = named<Enum>(#__VA_ARGS__, {__VA_ARGS__}); \
    return words;                                                              \
  }
RSM_WORDS(Family, flow, diffusion)
RSM_WORDS(Solver, euler, multistep, sa)
RSM_WORDS(SamplerNoise, usual, cps, constant, even_weight, precise, churn)
RSM_WORDS(TreeKnobs::Keep, best, extremes)
RSM_WORDS(WindowKnobs::Move, frozen, progressive, random)
RSM_WORDS(ValueKnobs::Kind, none, small, copy, lora)
RSM_WORDS(ValueKnobs::Law, consistency, balance)
RSM_WORDS(GradientKnobs::At, picture, network, sample, adjoint)
RSM_WORDS(GradientKnobs::Through, reference, policy, linear, predictor)
RSM_WORDS(GradientKnobs::Draw, even, reward)
RSM_WORDS(FlowKnobs::Use, none, balance, advantage)
RSM_WORDS(SurrogateKnobs::At, none, picture, network)
RSM_WORDS(PictureKnobs::Guidance, rewards, picture, step)
RSM_WORDS(PictureKnobs::Times, uniform, power, logit_normal, grid)
RSM_WORDS(PictureKnobs::Weight, advantage, exponential, top, pairs)
RSM_WORDS(PictureKnobs::Mode, all, positive, negative, one, sign)
RSM_WORDS(PictureKnobs::Coefficient, plain, residual, centred, linear,
          reflected, sigmoid)
RSM_WORDS(PictureKnobs::Distance, square, relative, power)
RSM_WORDS(PictureKnobs::Sampled, policy, old)
RSM_WORDS(EstimatorKnobs::Source, rollout, branches, tree, trajectory, pictures,
          pairs)
RSM_WORDS(EstimatorKnobs::Grouping, prompt, seed, root, batch)
RSM_WORDS(EstimatorKnobs::Baseline, mean, leave_one_out, running, none,
          previous_step)
RSM_WORDS(EstimatorKnobs::Return, hard, soft, exponential)
RSM_WORDS(EstimatorKnobs::Spread, group, global, none)
RSM_WORDS(EstimatorKnobs::Combine, rewards, advantages, normalised)
RSM_WORDS(EstimatorKnobs::Diversity, none, latents, pixels)
RSM_WORDS(StrengthKnobs::Shape, constant, noise, proportional, uniform, sigma,
          variance, flat, linear, quadratic, predicted, predicted_squared,
          exact, residual, residual_linear, short_stride)
RSM_WORDS(RegularisationKnobs::KlForm, exact, heuristic, unweighted, output,
          score, elbo, short_stride)
RSM_WORDS(RegularisationKnobs::Importance, ratio, matching, none, quadratic)
RSM_WORDS(RegularisationKnobs::ClipIn, log_ratio, strength, variance, centred,
          divergence)
RSM_WORDS(RegularisationKnobs::Mask, policy, rows, none, whole)
#undef RSM_WORDS

/** The word of a value. */
template <typename Enum>
requires std::is_enum_v<Enum> && requires(Enum value) { words_of(value); }
std::string to_string(Enum value) {
  for (const auto& [word, known] : words_of(value)) {
    if (known == value) return word;
  }
  throw Error("[to_string] a value outside its enum");
}

/** "both" without a family. */
inline std::string to_string(std::optional<Family> models) {
  return models ? to_string(*models) : "both";
}

/** Every word of an enum, in the order of its values. */
template <typename Enum>
std::vector<std::string> words() {
  std::vector<std::string> out;
  for (const auto& [word, value] : words_of(Enum{})) out.push_back(word);
  return out;
}

/** The value named `word`: parse<StrengthKnobs::Shape>("sigma"). Throws
 * UsageError listing the allowed words. */
template <typename Enum>
Enum parse(const std::string& word) {
  for (const auto& [known, value] : words_of(Enum{})) {
    if (known == word) return value;
  }
  throw UsageError(cat("[parse] ", unknown_word(word, words<Enum>())));
}

}  // namespace rsm
