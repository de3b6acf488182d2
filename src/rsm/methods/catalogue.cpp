#include "rsm/methods/catalogue.h"

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;
using Baseline = EstimatorKnobs::Baseline;
using Grouping = EstimatorKnobs::Grouping;
using Spread = EstimatorKnobs::Spread;
using Shape = StrengthKnobs::Shape;
using KlForm = RegularisationKnobs::KlForm;
using Importance = RegularisationKnobs::Importance;
using ClipIn = RegularisationKnobs::ClipIn;
using Mask = RegularisationKnobs::Mask;
using At = GradientKnobs::At;

/** A method in its corrected form, and what the public release does instead
 * where that is another choice of knobs. Published means are plain, except
 * where a release says otherwise. */
struct Entry {
  Method method;
  Mask published_mask = Mask::none;
  void (*publish)(Method&) = nullptr;
};

/** Every step of a path trains, compared within a prompt: what GRPO and its
 * kin share. */
Method path_method(const std::string& name, const std::string& source,
                   const std::string& summary) {
  Method m;
  m.name = name;
  m.source = source;
  m.summary = summary;
  m.estimator.source = Source::rollout;
  m.estimator.grouping = Grouping::prompt;
  m.regularisation.importance = Importance::ratio;
  return m;
}

/** One-step branches of a deterministic root, compared among themselves. */
Method branch_method(const std::string& name, const std::string& source,
                     const std::string& summary, const std::string& profile) {
  Method m;
  m.name = name;
  m.source = source;
  m.summary = summary;
  m.estimator.source = Source::branches;
  m.estimator.grouping = Grouping::seed;
  m.estimator.profile = profile;
  m.regularisation.beta = 0.004;
  return m;
}

Method reinforce_kl() {
  auto m = path_method("reinforce-kl", "arXiv 2604.17415, table 1",
                       "plain score-function gradient with a KL penalty");
  m.estimator.spread = Spread::none;
  m.regularisation.importance = Importance::none;
  m.regularisation.beta = 0.004;
  return m;
}

Method ppo() {
  auto m = path_method("ppo",
                       "arXiv 1707.06347 with one-step policies of "
                       "arXiv 2305.13301",
                       "clipped ratio, compared with the whole epoch");
  m.estimator.grouping = Grouping::batch;
  m.estimator.spread_offset = 1e-8;
  return m;
}

Method ddpo() {
  auto m = path_method("ddpo", "arXiv 2305.13301 and its release",
                       "clipped ratio, compared with its prompt's past");
  m.estimator.baseline = Baseline::running;
  m.estimator.spread_offset = 1e-6;
  return m;
}

Method grpo() {
  auto m = path_method("grpo", "arXiv 2402.03300 on the steps of a sampler",
                       "clipped ratio, compared within a prompt's group");
  m.regularisation.beta = 0.01;
  m.regularisation.kl_form = KlForm::heuristic;
  return m;
}

Method flow_grpo() {
  auto m = path_method("flow-grpo",
                       "arXiv 2505.05470; beta as its release's GenEval run",
                       "clipped ratio on every step of a stochastic path");
  m.estimator.spread = Spread::global;
  m.regularisation.beta = 0.04;
  m.regularisation.kl_form = KlForm::heuristic;
  return m;
}

Method dance_grpo() {
  auto m =
      path_method("dance-grpo", "arXiv 2505.07818 and its release",
                  "a group starts from one noise and takes even SDE steps");
  m.estimator.noise = SamplerNoise::constant;
  m.estimator.shared_start = true;
  m.estimator.unbiased_spread = true;
  m.estimator.spread_offset = 1e-8;
  return m;
}

Method grpo_guard() {
  auto m = path_method("grpo-guard", "arXiv 2510.22319",
                       "log-ratios centred and scaled alike at all times");
  m.estimator.spread = Spread::global;
  m.strength.shape = Shape::sigma;
  m.regularisation.clip_in = ClipIn::centred;
  m.regularisation.beta = 0.01;
  m.regularisation.kl_form = KlForm::heuristic;
  return m;
}

Method pcpo() {
  auto m = path_method("pcpo", "arXiv 2509.25774, for flows",
                       "every step weighs as its share of time");
  m.family = Family::flow;
  m.estimator.spread = Spread::global;
  m.strength.shape = Shape::proportional;
  m.regularisation.clip_in = ClipIn::strength;
  m.regularisation.beta = 0.01;
  m.regularisation.kl_form = KlForm::heuristic;
  return m;
}

/** PCPO for diffusion: the matching form; a prompt's samples start alike. */
Method pcpo_diffusion(const std::string& name, const std::string& summary) {
  auto m = path_method(name, "arXiv 2509.25774 and its release", summary);
  m.family = Family::diffusion;
  m.estimator.shared_start = true;
  m.estimator.spread_offset = 1e-8;
  m.regularisation.importance = Importance::matching;
  return m;
}

Method pcpo_uw_sigma() {
  auto m = pcpo_diffusion("pcpo-uw-sigma",
                          "a sampler whose steps weigh about the same");
  m.estimator.noise = SamplerNoise::even_weight;
  return m;
}

Method pcpo_uw_lambda() {
  auto m = pcpo_diffusion("pcpo-uw-lambda",
                          "outputs moved from the reference by what evens w");
  m.strength.scaled_residual = true;
  return m;
}

/** The release takes one weight for all times, which no standard deviation of
 * the sampler gives: the true one is 0.38 to 3.4. */
void publish_uniform_weight(Method& m) {
  m.strength.shape = Shape::uniform;
  m.regularisation.clip_in = ClipIn::strength;
}

Method branch_grpo() {
  auto m = path_method("branch-grpo", "arXiv 2509.06040 and its release",
                       "a path that splits; a node earns its leaves' mean");
  m.estimator.source = Source::tree;
  m.estimator.grouping = Grouping::seed;
  m.estimator.noise = SamplerNoise::constant;
  m.estimator.profile = "four-splits";
  m.estimator.tree.split_noise = 4;
  m.estimator.unbiased_spread = true;
  m.estimator.spread_offset = 1e-8;
  m.regularisation.clip_range = 1e-3;
  return m;
}

Method tempflow_grpo() {
  auto m = branch_method(
      "tempflow-grpo", "arXiv 2508.04324; constants as in arXiv 2604.17415",
      "branches from one root, weighted by the step's noise", "base");
  m.strength.shape = Shape::noise;
  m.regularisation.importance = Importance::ratio;
  return m;
}

Method tempflow_matching() {
  auto m = tempflow_grpo();
  m.name = "tempflow-matching";
  m.source = "arXiv 2604.17415's matching form of arXiv 2508.04324";
  m.summary = "tempflow-grpo as a regression, clipped after weighting";
  m.regularisation.importance = Importance::matching;
  m.regularisation.clip_in = ClipIn::strength;
  return m;
}

Method rsm_fairclip() {
  auto m = branch_method("rsm-fairclip",
                         "arXiv 2604.17415, figure 3; beta as for GenEval",
                         "branches everywhere, clips even over time", "base");
  m.regularisation.clip_in = ClipIn::variance;
  return m;
}

Method rsm_flow() {
  auto m = branch_method(
      "rsm-flow", "arXiv 2604.17415, its GenEval redesign",
      "branches on noisy steps, log-ratio matching, even clips", "lowsnr2");
  m.strength.shape = Shape::sigma;
  m.regularisation.anchors = true;
  m.regularisation.clip_in = ClipIn::variance;
  return m;
}

Method rsm_diffusion() {
  auto m = branch_method("rsm-diffusion", "arXiv 2604.17415, figure 4(b)",
                         "five branch times, anchors elsewhere", "five");
  m.family = Family::diffusion;
  m.estimator.grouping = Grouping::prompt;
  m.estimator.noise = SamplerNoise::even_weight;
  m.regularisation.beta = 8e-5;
  m.regularisation.kl_form = KlForm::unweighted;
  m.regularisation.pull_rows = false;
  m.regularisation.anchors = true;
  m.regularisation.anchor_share = 0.1;
  return m;
}

/** Five roots of a prompt start from one noise and are therefore the same: four
 * branches of each are twenty of one. */
void publish_rsm_diffusion(Method& m) {
  publish_uniform_weight(m);
  m.estimator.profile = "five-four";
  m.estimator.shared_start = true;
}

/** A flow of states is learnt beside the policy, which is held to its outputs
 * of the epoch's beginning. */
Method flow_method(const std::string& name, const std::string& summary,
                   FlowKnobs::Use use) {
  auto m = path_method(name, "arXiv 2406.00633", summary);
  m.estimator.flow.use = use;
  m.regularisation.old = 1;
  return m;
}

/** A residual is as large as it is. */
Method dag_db() {
  auto m = flow_method("dag-db", "a step's detailed balance, as a square",
                       FlowKnobs::Use::balance);
  m.estimator.compare_nothing();
  m.regularisation.importance = Importance::none;
  m.regularisation.advantage_clip = 1e30;
  return m;
}

Method dag_kl() {
  auto m =
      flow_method("dag-kl", "clipped ratio, for what a step's balance lacks",
                  FlowKnobs::Use::advantage);
  m.estimator.grouping = Grouping::batch;
  m.estimator.baseline = Baseline::leave_one_out;
  m.estimator.spread_offset = 1e-8;
  return m;
}

/** Every state of a path is pulled to the reference's output plus a share of a
 * reward's gradient. */
Method gradient_method(const std::string& name, const std::string& source,
                       const std::string& summary, At at) {
  Method m;
  m.name = name;
  m.source = source;
  m.summary = summary;
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

/** With it, at the release's scale. */
Method vgg_flow() {
  auto m = vgg_flow_pruned();
  m.name = "vgg-flow";
  m.source = "arXiv 2512.05116 and its release";
  m.summary = "a value network learns what each state's gradient lacks";
  m.strength.scale = 1e3;
  auto& value = m.estimator.gradient.value;
  value.kind = ValueKnobs::Kind::lora;
  value.output_scale = 1e-5;
  return m;
}

/** Its two relatives of figure 6: a milder weight, at either scale. */
Method vgg_flow_linear(const std::string& name, double scale) {
  auto m = vgg_flow_pruned();
  m.name = name;
  m.source = "arXiv 2604.17415, figure 6";
  m.summary = "the same, falling linearly towards the noise";
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
  auto m = residual_db_pruned();
  m.name = "residual-db";
  m.source = "arXiv 2412.07775 and its release; scale as arXiv 2604.17415";
  m.summary = "a value network learns from forward and backward steps";
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

/** Its control of figure 6: the gradient is taken as in the baseline. */
Method residual_db_sigma() {
  auto m = rsm_first_diffusion();
  m.name = "residual-db-sigma";
  m.source = "arXiv 2604.17415, figure 6";
  m.summary = "gradient as residual-db-pruned, weight as the redesign";
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

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      {reinforce_kl()},
      {ppo()},
      {ddpo()},
      {grpo()},
      {flow_grpo(), Mask::rows},
      {dance_grpo()},
      {branch_grpo()},
      {grpo_guard(), Mask::rows},
      {pcpo(), Mask::rows},
      {pcpo_diffusion("pcpo-vw", "every step weighs what it truly weighs")},
      {pcpo_diffusion("pcpo-logrho",
                      "1 + log rho for rho: the gradient of pcpo-vw")},
      {pcpo_uw_lambda()},
      {pcpo_uw_sigma(), Mask::none, publish_uniform_weight},
      {tempflow_grpo(), Mask::rows},
      {tempflow_matching(), Mask::rows},
      {rsm_fairclip(), Mask::rows},
      {rsm_flow(), Mask::rows},
      {rsm_diffusion(), Mask::rows, publish_rsm_diffusion},
      {dag_db()},
      {dag_kl()},
      {vgg_flow(), Mask::whole},
      {vgg_flow_pruned(), Mask::whole},
      {vgg_flow_linear("vgg-flow-linear", 3e7), Mask::whole},
      {vgg_flow_linear("vgg-flow-linear-half", 1.5e7), Mask::whole},
      {rsm_first_flow(), Mask::whole},
      {residual_db(), Mask::whole},
      {residual_db_pruned(), Mask::whole},
      {residual_db_sigma(), Mask::whole},
      {rsm_first_diffusion(), Mask::whole},
      {adjoint_matching(), Mask::whole},
      {sqdf(), Mask::whole},
      {draft_k(), Mask::whole},
      {alignprop(), Mask::whole},
      {refl(), Mask::whole},
  };
  return all;
}

}  // namespace

const std::vector<Method>& catalogue() {
  static const std::vector<Method> methods = [] {
    std::vector<Method> out;
    for (const auto& entry : entries()) {
      out.push_back(fitted(entry.method, kCatalogueSteps));
    }
    return out;
  }();
  return methods;
}

std::string default_method(std::optional<Family> family) {
  return family == Family::diffusion ? "rsm-diffusion" : "rsm-flow";
}

Method find_method(const std::string& name, bool as_published) {
  std::vector<std::string> known;
  for (const auto& entry : entries()) {
    if (entry.method.name == name) {
      Method method = entry.method;
      method.as_published = as_published;
      if (as_published) method.regularisation.mask = entry.published_mask;
      if (as_published && entry.publish != nullptr) entry.publish(method);
      return fitted(method, kCatalogueSteps);
    }
    known.push_back(entry.method.name);
  }
  throw UsageError(cat("[method] ", unknown_word(name, known)));
}

}  // namespace rsm
