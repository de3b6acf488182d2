#include "rsm/methods/entries.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;
using Shape = StrengthKnobs::Shape;
using KlForm = RegularisationKnobs::KlForm;
using Importance = RegularisationKnobs::Importance;
using Mask = RegularisationKnobs::Mask;
using At = GradientKnobs::At;

/** Every state of a path is pulled to the reference's output plus a share of a
 * reward's gradient. */
Method gradient_method(const std::string& name, const std::string& source,
                       const std::string& summary, At at) {
  auto m = method_called(name, source, summary);
  m.estimator.source = Source::trajectory;
  m.estimator.gradient.at = at;
  m.regularisation.importance = Importance::none;
  m.regularisation.mask = Mask::whole;
  m.regularisation.beta = 1;
  m.regularisation.kl_form = KlForm::output;
  return m;
}

/** Without the value network, which arXiv 2604.17415 prunes. */
Method vgg_flow_pruned() {
  auto m = gradient_method("vgg-flow-pruned", "arXiv 2512.05116, pruned",
                           "gradient at each state's predicted picture",
                           At::picture);
  m.family = Family::flow;
  m.strength.shape = Shape::quadratic;
  m.strength.scale = 3e7;
  m.estimator.gradient.norm_clip = 1;
  return m;
}

/** With it, at the release's scale and, as that means it, with a bound that
 * follows the norms. */
Method vgg_flow() {
  auto m =
      method_called("vgg-flow", "arXiv 2512.05116 and its release",
                    "a value network learns what each state's gradient lacks",
                    vgg_flow_pruned());
  m.strength.scale = 1e3;
  m.estimator.gradient.norm_quantile = 0.8;
  auto& value = m.estimator.gradient.value;
  value.kind = ValueKnobs::Kind::lora;
  value.output_scale = 1e-5;
  return m;
}

/** An epoch begins with a bound of 1, and with one update ends with it. */
void publish_bound(Method& m) { m.estimator.gradient.norm_quantile = 0; }

/** Its two relatives of figure 6: a milder weight, at either scale. */
Method vgg_flow_linear(const std::string& name, double scale) {
  auto m = method_called(name, "arXiv 2604.17415, figure 6",
                         "the same, falling linearly towards the noise",
                         vgg_flow_pruned());
  m.strength.shape = Shape::linear;
  m.strength.scale = scale;
  return m;
}

Method rsm_first_flow() {
  auto m = gradient_method("rsm-first-flow", "arXiv 2604.17415, figure 5(a)",
                           "the sample's gradient at all states of its path",
                           At::sample);
  m.family = Family::flow;
  m.strength.shape = Shape::linear;
  m.strength.scale = 1.5e7;
  m.estimator.gradient.norm_clip = 1;
  return m;
}

/** Without the value network and its backward loss. */
Method residual_db_pruned() {
  auto m = gradient_method("residual-db-pruned", "arXiv 2412.07775, pruned",
                           "gradient through the network, one step ahead",
                           At::network);
  m.family = Family::diffusion;
  m.estimator.gradient.through = GradientKnobs::Through::policy;
  m.estimator.gradient.lookahead = 1;
  m.estimator.gradient.stochastic = true;
  m.estimator.gradient.times = 10;
  m.estimator.gradient.last_time = true;
  m.strength.shape = Shape::residual;
  m.strength.scale = 5e5;
  m.regularisation.kl_form = KlForm::score;
  m.regularisation.old = 100;
  return m;
}

Method residual_db() {
  auto m = method_called(
      "residual-db",
      "arXiv 2412.07775 and its release; scale as arXiv 2604.17415",
      "a value network learns from forward and backward steps",
      residual_db_pruned());
  auto& value = m.estimator.gradient.value;
  value.kind = ValueKnobs::Kind::small;
  value.law = ValueKnobs::Law::balance;
  value.output_scale = 1;
  value.lr = 1e-3;
  value.weight_decay = 1e-2;
  value.terminal = 1;
  return m;
}

/** The sample's gradient, carried nowhere: w^2 |y - y_ref|^2 is twice the KL.
 */
Method rsm_first_diffusion() {
  auto m = gradient_method(
      "rsm-first-diffusion", "arXiv 2604.17415, figure 5(c)",
      "the sample's gradient at all states of its path", At::sample);
  m.family = Family::diffusion;
  m.estimator.gradient.stochastic = true;
  m.estimator.gradient.times = 10;
  m.estimator.gradient.last_time = true;
  m.strength.scale = 1e6;
  m.regularisation.beta = 2;
  m.regularisation.kl_form = KlForm::exact;
  m.regularisation.old = 100;
  return m;
}

/** Both factors of the loss, of the means' distance and of the gradient, take s
 * of too short a stride. */
void publish_stride(Method& m) {
  m.strength.shape = Shape::short_stride;
  m.regularisation.kl_form = KlForm::short_stride;
}

/** Its control of figure 6: the gradient is taken as in the baseline. */
Method residual_db_sigma() {
  auto m =
      method_called("residual-db-sigma", "arXiv 2604.17415, figure 6",
                    "gradient as residual-db-pruned, weight as the redesign",
                    rsm_first_diffusion());
  m.estimator.gradient.at = At::network;
  m.estimator.gradient.through = GradientKnobs::Through::policy;
  m.estimator.gradient.lookahead = 1;
  return m;
}

Method adjoint_matching() {
  auto m = gradient_method("adjoint-matching", "arXiv 2409.08861",
                           "the sample's gradient, carried back along its path",
                           At::adjoint);
  m.estimator.gradient.stochastic = true;
  m.estimator.gradient.times = 4;
  m.estimator.gradient.early_times = 2;
  m.estimator.gradient.prompt_dropout = 0.2;
  m.estimator.gradient.reject_above = 0.9;
  m.strength.scale = 200;
  m.regularisation.beta = 2;
  m.regularisation.kl_form = KlForm::exact;
  return m;
}

Method sqdf() {
  auto m = gradient_method("sqdf", "arXiv 2512.04559",
                           "gradient of the picture predicted one step ahead",
                           At::network);
  m.estimator.gradient.lookahead = 1;
  m.estimator.gradient.stochastic = true;
  m.estimator.gradient.times = 1;
  m.estimator.gradient.discount = 0.9;
  m.estimator.gradient.of_sum = true;
  m.estimator.gradient.positive_only = true;
  m.estimator.gradient.replay = 15;
  m.strength.scale = 2;
  m.regularisation.beta = 4;
  m.regularisation.kl_form = KlForm::exact;
  return m;
}

/** The reward itself is raised, by its derivative through the last steps;
 * nothing holds the model. */
Method draft(const std::string& name, const std::string& source,
             const std::string& summary) {
  auto m = gradient_method(name, source, summary, At::adjoint);
  m.estimator.gradient.through = GradientKnobs::Through::policy;
  m.estimator.gradient.lookahead = 1;
  m.estimator.gradient.of_sum = true;
  m.strength.scale = 2;
  m.regularisation.beta = 0;
  return m;
}

Method draft_k() {
  auto m = draft("draft-k", "arXiv 2309.17400",
                 "the reward's derivative through the last step");
  m.estimator.gradient.late_steps = 1;
  return m;
}

Method alignprop() {
  auto m = draft("alignprop", "arXiv 2310.03739",
                 "the same through a random number of last steps");
  m.estimator.gradient.random_late_steps = true;
  return m;
}

Method refl() {
  auto m = gradient_method("refl", "arXiv 2304.05977",
                           "the reward's derivative of a late state's "
                           "predicted picture",
                           At::picture);
  m.estimator.gradient.late_steps = 4;
  m.estimator.gradient.times = 1;
  m.estimator.gradient.of_sum = true;
  m.strength.shape = Shape::predicted;
  m.regularisation.beta = 0;
  return m;
}

}  // namespace

std::vector<Entry> first_order_entries() {
  return {
      {vgg_flow(), Mask::whole, publish_bound},
      {vgg_flow_pruned(), Mask::whole},
      {vgg_flow_linear("vgg-flow-linear", 3e7), Mask::whole},
      {vgg_flow_linear("vgg-flow-linear-half", 1.5e7), Mask::whole},
      {rsm_first_flow(), Mask::whole},
      {residual_db(), Mask::whole},
      {residual_db_pruned(), Mask::whole},
      {residual_db_sigma(), Mask::whole, publish_stride},
      {rsm_first_diffusion(), Mask::whole, publish_stride},
      {adjoint_matching(), Mask::whole},
      {sqdf(), Mask::whole},
      {draft_k(), Mask::whole},
      {alignprop(), Mask::whole},
      {refl(), Mask::whole},
  };
}

}  // namespace rsm
