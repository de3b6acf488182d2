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
using ClipIn = RegularisationKnobs::ClipIn;
using Mask = RegularisationKnobs::Mask;

/** Every step of a path trains, compared within a prompt: what GRPO and its
 * kin share. */
Method path_method(const std::string& name, const std::string& source,
                   const std::string& summary) {
  auto m = method_called(name, source, summary);
  m.estimator.source = Source::rollout;
  m.estimator.grouping = Grouping::prompt;
  m.regularisation.importance = Importance::ratio;
  return m;
}

/** One-step branches of a deterministic root, compared among themselves. */
Method branch_method(const std::string& name, const std::string& source,
                     const std::string& summary, const std::string& profile) {
  auto m = method_called(name, source, summary);
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

Method flow_dppo() {
  auto m = method_called(
      "flow-dppo", "arXiv 2606.11025, else as arXiv 2505.05470",
      "flow-grpo, rows dropped by their step's divergence", flow_grpo());
  m.regularisation.clip_in = ClipIn::divergence;
  m.regularisation.clip_range = 1e-5;
  return m;
}

Method dense_grpo() {
  auto m =
      method_called("dense-grpo", "arXiv 2601.20218, else as arXiv 2505.05470",
                    "every step earns what its picture gained", flow_grpo());
  m.estimator.baseline = Baseline::previous_step;
  m.estimator.spread = Spread::group;
  return m;
}

/** Against rewards that are won by what they do not see. */
Method gardo() {
  auto m = method_called(
      "gardo", "arXiv 2512.24138 and its release, on arXiv 2505.05470",
      "flow-grpo, held where other rewards disagree; variety counts",
      flow_grpo());
  m.estimator.spread = Spread::none;
  m.estimator.diversity = EstimatorKnobs::Diversity::pixels;
  m.regularisation.clip_range = 1e-5;
  m.regularisation.gate.share = 0.1;
  m.regularisation.reset = {.kl = 3e-4, .every = 15};
  return m;
}

/** Two paths of one start say which way a picture is better. */
Method fdfo() {
  auto m = method_called("fdfo", "arXiv 2603.12893 and its release",
                         "two paths of one start, along their difference");
  m.family = Family::flow;
  m.estimator.source = Source::pairs;
  m.estimator.grouping = Grouping::seed;
  m.estimator.spread = Spread::none;
  m.estimator.noise = SamplerNoise::churn;
  m.strength.shape = Shape::flat;
  m.regularisation.importance = Importance::quadratic;
  m.regularisation.clip_range = 0.03;
  m.regularisation.advantage_clip = 1e30;
  m.regularisation.kl_form = KlForm::output;
  return m;
}

/** Noise and rows within a window of steps, the ODE elsewhere. */
Method mix_grpo() {
  auto m = path_method("mix-grpo", "arXiv 2507.21802 and its release",
                       "four steps of a path draw noise, ever later ones");
  m.estimator.shared_start = true;
  m.estimator.combine = EstimatorKnobs::Combine::advantages;
  m.estimator.window = {
      .size = 4, .move = WindowKnobs::Move::progressive, .every = 25};
  m.estimator.unbiased_spread = true;
  m.estimator.spread_offset = 1e-8;
  return m;
}

Method mix_grpo_flash() {
  auto m =
      method_called("mix-grpo-flash", "arXiv 2507.21802 and its release",
                    "mix-grpo, in fewer steps behind the window", mix_grpo());
  m.estimator.window.every = 20;
  m.estimator.window.continuation = 0.4;
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
  auto m =
      method_called("tempflow-matching",
                    "arXiv 2604.17415's matching form of arXiv 2508.04324",
                    "tempflow-grpo as a regression, clipped after weighting",
                    tempflow_grpo());
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

/** Beyond the paper: its pictures, drawn and judged anyway, are trained on once
 * more. */
Method rsm_forward() {
  auto m = method_called(
      "rsm-forward",
      "arXiv 2604.17415, its GenEval redesign, with rows of arXiv 2602.04663",
      "rsm-flow, its pictures noised again as rows beside it", rsm_flow());
  auto& forward = m.estimator.forward;
  forward.beta = 1e-4;
  forward.pictures.draws = 1;
  forward.pictures.advantage_scale = 0.1;
  forward.pictures.coefficient = PictureKnobs::Coefficient::residual;
  forward.pictures.distance = PictureKnobs::Distance::relative;
  return m;
}

/** Beyond the paper: the same in the mean. */
Method rsm_surrogate() {
  auto m = method_called(
      "rsm-surrogate",
      "arXiv 2604.17415, its GenEval redesign, with the control variate of "
      "arXiv 1611.02247",
      "rsm-flow, less noisy by what a learnt scorer foretells", rsm_flow());
  m.estimator.surrogate.at = SurrogateKnobs::At::picture;
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

}  // namespace

std::vector<Entry> zeroth_order_entries() {
  return {
      {reinforce_kl()},
      {ppo()},
      {ddpo()},
      {grpo()},
      {flow_grpo(), Mask::rows},
      {flow_dppo()},
      {dense_grpo()},
      {gardo(), Mask::rows},
      {fdfo()},
      {mix_grpo()},
      {mix_grpo_flash()},
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
      {rsm_forward(), Mask::rows},
      {rsm_surrogate(), Mask::rows},
      {rsm_diffusion(), Mask::rows, publish_rsm_diffusion},
      {dag_db()},
      {dag_kl()},
  };
}

}  // namespace rsm
