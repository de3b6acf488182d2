#include "rsm/methods/names.h"

#include <type_traits>
#include <utility>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** An enum's knob, as configs call it, and the word of each value. */
template <typename Enum>
struct Names {
  std::string knob;
  std::vector<std::pair<std::string, Enum>> entries;
};

template <typename Enum>
const Names<Enum>& names();

template <>
const Names<EstimatorKnobs::Source>& names() {
  using E = EstimatorKnobs::Source;
  static const Names<E> table = {
      "estimator.source",
      {{"rollout", E::rollout}, {"branches", E::branches}, {"tree", E::tree}}};
  return table;
}

template <>
const Names<EstimatorKnobs::Grouping>& names() {
  using E = EstimatorKnobs::Grouping;
  static const Names<E> table = {"estimator.grouping",
                                 {{"prompt", E::prompt},
                                  {"seed", E::seed},
                                  {"root", E::root},
                                  {"batch", E::batch}}};
  return table;
}

template <>
const Names<TreeKnobs::Keep>& names() {
  using E = TreeKnobs::Keep;
  static const Names<E> table = {
      "estimator.tree.keep", {{"best", E::best}, {"extremes", E::extremes}}};
  return table;
}

template <>
const Names<EstimatorKnobs::Spread>& names() {
  using E = EstimatorKnobs::Spread;
  static const Names<E> table = {
      "estimator.spread",
      {{"group", E::group}, {"global", E::global}, {"none", E::none}}};
  return table;
}

template <>
const Names<EstimatorKnobs::Baseline>& names() {
  using E = EstimatorKnobs::Baseline;
  static const Names<E> table = {"estimator.baseline",
                                 {{"mean", E::mean},
                                  {"leave_one_out", E::leave_one_out},
                                  {"running", E::running},
                                  {"none", E::none}}};
  return table;
}

template <>
const Names<EstimatorKnobs::Combine>& names() {
  using E = EstimatorKnobs::Combine;
  static const Names<E> table = {
      "estimator.combine",
      {{"rewards", E::rewards}, {"advantages", E::advantages}}};
  return table;
}

template <>
const Names<SamplerNoise>& names() {
  using E = SamplerNoise;
  static const Names<E> table = {"sampling.sampler",
                                 {{"usual", E::usual},
                                  {"cps", E::cps},
                                  {"constant", E::constant},
                                  {"even_weight", E::even_weight}}};
  return table;
}

template <>
const Names<Family>& names() {
  using E = Family;
  static const Names<E> table = {
      "family", {{"flow", E::flow}, {"diffusion", E::diffusion}}};
  return table;
}

template <>
const Names<StrengthKnobs::Shape>& names() {
  using E = StrengthKnobs::Shape;
  static const Names<E> table = {"strength.shape",
                                 {{"constant", E::constant},
                                  {"noise", E::noise},
                                  {"proportional", E::proportional},
                                  {"uniform", E::uniform},
                                  {"sigma", E::sigma},
                                  {"variance", E::variance}}};
  return table;
}

template <>
const Names<RegularisationKnobs::KlForm>& names() {
  using E = RegularisationKnobs::KlForm;
  static const Names<E> table = {"regularisation.kl_form",
                                 {{"exact", E::exact},
                                  {"heuristic", E::heuristic},
                                  {"unweighted", E::unweighted}}};
  return table;
}

template <>
const Names<RegularisationKnobs::Importance>& names() {
  using E = RegularisationKnobs::Importance;
  static const Names<E> table = {
      "regularisation.importance",
      {{"ratio", E::ratio}, {"matching", E::matching}, {"none", E::none}}};
  return table;
}

template <>
const Names<RegularisationKnobs::ClipIn>& names() {
  using E = RegularisationKnobs::ClipIn;
  static const Names<E> table = {"regularisation.clip_in",
                                 {{"log_ratio", E::log_ratio},
                                  {"strength", E::strength},
                                  {"variance", E::variance},
                                  {"centred", E::centred}}};
  return table;
}

template <>
const Names<RegularisationKnobs::Mask>& names() {
  using E = RegularisationKnobs::Mask;
  static const Names<E> table = {
      "regularisation.mask",
      {{"policy", E::policy}, {"rows", E::rows}, {"none", E::none}}};
  return table;
}

template <typename Enum>
std::string word_of(Enum value) {
  for (const auto& [word, known] : names<Enum>().entries) {
    if (known == value) return word;
  }
  throw Error(cat("[", names<Enum>().knob, "] a value outside its enum"));
}

}  // namespace

template <typename Enum>
requires std::is_enum_v<Enum> std::string to_string(Enum value) {
  return word_of(value);
}

std::string to_string(std::optional<Family> models) {
  return models ? to_string(*models) : "both";
}

template <typename Enum>
std::vector<std::string> words() {
  std::vector<std::string> out;
  for (const auto& [word, value] : names<Enum>().entries) out.push_back(word);
  return out;
}

template <typename Enum>
Enum parse(const std::string& word) {
  for (const auto& [known, value] : names<Enum>().entries) {
    if (known == word) return value;
  }
  throw UsageError(
      cat("[", names<Enum>().knob, "] ", unknown_word(word, words<Enum>())));
}

#define RSM_DEFINE_WORDS(Enum)                     \
  template std::string to_string<Enum>(Enum);      \
  template std::vector<std::string> words<Enum>(); \
  template Enum parse<Enum>(const std::string& word)

RSM_DEFINE_WORDS(EstimatorKnobs::Source);
RSM_DEFINE_WORDS(TreeKnobs::Keep);
RSM_DEFINE_WORDS(EstimatorKnobs::Grouping);
RSM_DEFINE_WORDS(EstimatorKnobs::Baseline);
RSM_DEFINE_WORDS(EstimatorKnobs::Spread);
RSM_DEFINE_WORDS(EstimatorKnobs::Combine);
RSM_DEFINE_WORDS(SamplerNoise);
RSM_DEFINE_WORDS(StrengthKnobs::Shape);
RSM_DEFINE_WORDS(RegularisationKnobs::KlForm);
RSM_DEFINE_WORDS(RegularisationKnobs::Importance);
RSM_DEFINE_WORDS(RegularisationKnobs::ClipIn);
RSM_DEFINE_WORDS(RegularisationKnobs::Mask);
RSM_DEFINE_WORDS(Family);

#undef RSM_DEFINE_WORDS

}  // namespace rsm
