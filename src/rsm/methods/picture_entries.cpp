#include "rsm/methods/entries.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;
using Baseline = EstimatorKnobs::Baseline;
using Grouping = EstimatorKnobs::Grouping;
using Spread = EstimatorKnobs::Spread;
using Shape = StrengthKnobs::Shape;
using KlForm = RegularisationKnobs::KlForm;
using Importance = RegularisationKnobs::Importance;
using Mask = RegularisationKnobs::Mask;
using Coefficient = PictureKnobs::Coefficient;
using Distance = PictureKnobs::Distance;
using Times = PictureKnobs::Times;
using Weight = PictureKnobs::Weight;

/** A prompt's samples, compared with each other, each noised again; what the
 * network is to say of them weighs by how good they are. */
Method picture_method(const std::string& name, const std::string& source,
                      const std::string& summary) {
  auto m = method_called(name, source, summary);
  m.estimator.source = Source::pictures;
  m.estimator.grouping = Grouping::prompt;
  m.strength.shape = Shape::flat;
  m.regularisation.importance = Importance::none;
  m.regularisation.kl_form = KlForm::output;
  m.regularisation.mask = Mask::none;
  return m;
}

/** No sample pushes away. */
Method weighted(const std::string& name, const std::string& source,
                const std::string& summary, Weight weight) {
  auto m = picture_method(name, source, summary);
  m.estimator.pictures.weight = weight;
  return m;
}

Method rwr() {
  auto m = weighted("rwr", "arXiv 2302.12192, 2305.13301",
                    "samples weigh as the exponential of their reward",
                    Weight::exponential);
  m.estimator.spread_offset = 1e-8;
  return m;
}

Method sft() {
  return weighted("sft", "arXiv 2302.12192, its best samples",
                  "the better half of a prompt's samples is learnt",
                  Weight::top);
}

Method orw_cfm() {
  auto m = weighted("orw-cfm", "arXiv 2502.06061",
                    "exponential weights, and a pull to the reference",
                    Weight::exponential);
  m.estimator.baseline = Baseline::none;
  m.estimator.spread = Spread::none;
  m.estimator.pictures.raw = true;
  m.regularisation.advantage_clip = 1e30;
  m.regularisation.beta = 1;
  return m;
}

Method diffusion_nft() {
  auto m = picture_method("diffusion-nft", "arXiv 2509.16117 and its release",
                          "good and bad branches mirrored at a slower copy");
  auto& pictures = m.estimator.pictures;
  m.estimator.spread = Spread::global;
  pictures.sampled = PictureKnobs::Sampled::old;
  pictures.old = {.start = 0, .rate = 1e-3, .cap = 0.5};
  pictures.draws = 9;
  pictures.times = Times::grid;
  pictures.stratified = false;
  pictures.distinct = true;
  pictures.coefficient = Coefficient::reflected;
  pictures.distance = Distance::relative;
  pictures.advantage_scale = 0.2;
  m.strength.shape = Shape::predicted;
  m.strength.scale = 5;
  m.regularisation.beta = 1e-4;
  return m;
}

Method awm() {
  auto m = picture_method("awm", "arXiv 2509.25050 and its release",
                          "advantages on a root of the flow-matching error");
  auto& pictures = m.estimator.pictures;
  m.estimator.spread = Spread::global;
  pictures.draws = 6;
  pictures.times = Times::grid;
  pictures.distance = Distance::power;
  pictures.exponent = 0.25;
  pictures.advantage_scale = 0.2;
  pictures.old = {.start = 0, .rate = 1e-3, .cap = 0.3};
  m.strength.shape = Shape::predicted;
  m.regularisation.beta = 1e-3;
  m.regularisation.old = 1;
  return m;
}

Method ram() {
  auto m = picture_method("ram", "arXiv 2605.10759",
                          "the reference's output, moved by A (y_c - y_old)");
  auto& pictures = m.estimator.pictures;
  pictures.sampled = PictureKnobs::Sampled::old;
  pictures.old = {.start = 0, .rate = 0.01, .cap = 0.9};
  pictures.draws = 8;
  pictures.times = Times::power;
  pictures.stratified = false;
  pictures.coefficient = Coefficient::linear;
  m.strength.scale = 100;
  m.regularisation.advantage_clip = 1e30;
  m.regularisation.beta = 1;
  return m;
}

Method rvm() {
  auto m = picture_method("rvm", "arXiv 2608.23664",
                          "advantages on the flow-matching error alone");
  m.estimator.pictures.advantage_scale = 0.1;
  m.estimator.pictures.stratified = false;
  return m;
}

/** Rewards less their prompt's mean, a tenth of them. */
Method by_evidence(const std::string& name, const std::string& summary) {
  auto m = picture_method(name, "arXiv 2602.04663 and its release", summary);
  auto& pictures = m.estimator.pictures;
  m.estimator.spread = Spread::none;
  pictures.advantage_scale = 0.1;
  pictures.coefficient = Coefficient::residual;
  pictures.distance = Distance::relative;
  m.strength.shape = Shape::predicted;
  m.regularisation.importance = Importance::ratio;
  m.regularisation.clip_range = 1e30;
  m.regularisation.beta = 1e-4;
  return m;
}

Method pepg() {
  return by_evidence("pepg", "what the policy moved already is taken off A");
}

/** Its square, whose gradient is the same. */
Method par() {
  return by_evidence("par", "log-ratios are fitted to advantages, as a square");
}

Method v_grpo() {
  auto m = picture_method("v-grpo", "arXiv 2604.23380",
                          "clipped ratios of errors, noise shared in a group");
  auto& pictures = m.estimator.pictures;
  pictures.draws = 4;
  pictures.shared = true;
  pictures.squash = 3;
  pictures.distance = Distance::relative;
  m.strength.shape = Shape::predicted;
  m.regularisation.importance = Importance::ratio;
  m.regularisation.clip_range = 1e-3;
  return m;
}

Method dgpo() {
  auto m = picture_method("dgpo", "arXiv 2510.08425 and its release",
                          "a group weighs by how far it is from its order");
  auto& pictures = m.estimator.pictures;
  pictures.shared = true;
  pictures.coefficient = Coefficient::sigmoid;
  pictures.sharpness = 100;
  pictures.old = {.start = 0, .rate = 1e-3, .cap = 0.3};
  pictures.clip = 0.01;
  pictures.t_min = 0.4;
  m.regularisation.beta = 1e-3;
  return m;
}

Method crd() {
  auto m = picture_method("crd", "arXiv 2603.14128",
                          "differences of log-ratios are fitted to rewards'");
  auto& pictures = m.estimator.pictures;
  pictures.sampled = PictureKnobs::Sampled::old;
  pictures.old = {.start = 0.25, .rate = 5e-3, .cap = 0.999};
  pictures.coefficient = Coefficient::centred;
  pictures.distance = Distance::relative;
  pictures.advantage_scale = 0.1;
  m.strength.shape = Shape::predicted;
  m.regularisation.beta = 0.01;
  m.regularisation.reference_guidance = 4.5;
  m.regularisation.least_pull = 1e-3;
  return m;
}

Method dpo() {
  auto m = picture_method("dpo", "arXiv 2311.12908, online",
                          "the best of a group against its worst");
  auto& pictures = m.estimator.pictures;
  pictures.weight = Weight::pairs;
  pictures.shared = true;
  pictures.sharpness = 2000;
  return m;
}

/** Our own: what the field's measurements speak for, with the reference as
 * anchor. */
Method rsm_pictures() {
  auto m = by_evidence("rsm-pictures",
                       "A of pepg's evidence, noise shared in a group, held by "
                       "the model");
  m.source = "arXiv 2604.17415's form of arXiv 2602.04663, 2604.23380";
  m.estimator.pictures.draws = 4;
  m.estimator.pictures.shared = true;
  m.estimator.pictures.coefficient =
      Coefficient::plain;  // by bench/picture-knobs.yaml
  m.regularisation.importance = Importance::none;
  m.regularisation.beta = 0.01;  // by bench/picture-hold.yaml
  return m;
}

/** The reward itself is raised, where samples are noised again; nothing holds
 * the model. */
Method noised_gradient(const std::string& name, const std::string& source,
                       const std::string& summary) {
  auto m = picture_method(name, source, summary);
  m.estimator.compare_nothing();
  m.estimator.pictures.times = Times::grid;
  return m;
}

Method draft_lv() {
  auto m = noised_gradient("draft-lv", "arXiv 2309.17400",
                           "the reward's derivative at the last time, twice");
  m.estimator.pictures.guidance = PictureKnobs::Guidance::picture;
  m.estimator.pictures.draws = 2;
  m.estimator.pictures.t_max = 0.01;
  return m;
}

Method srpo() {
  auto m = noised_gradient("srpo", "arXiv 2509.06942",
                           "the reward's derivative by one step with known "
                           "noise");
  m.estimator.pictures.guidance = PictureKnobs::Guidance::step;
  return m;
}

}  // namespace

std::vector<Entry> picture_entries() {
  return {
      {rwr()}, {sft()},          {orw_cfm()},  {diffusion_nft()},
      {awm()}, {ram()},          {rvm()},      {pepg()},
      {par()}, {v_grpo()},       {dgpo()},     {crd()},
      {dpo()}, {rsm_pictures()}, {draft_lv()}, {srpo()},
  };
}

}  // namespace rsm
