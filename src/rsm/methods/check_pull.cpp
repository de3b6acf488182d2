#include "rsm/methods/check_pull.h"

#include "rsm/methods/names.h"
#include "rsm/methods/require.h"

namespace rsm {
namespace {

/** Whether rows have the advantages of rewards that are compared. */
bool compares_rewards(const EstimatorKnobs& knobs) {
  return !knobs.needs_gradients() && !knobs.has_flow() &&
         !knobs.has_surrogate();
}

void check_gate(const Method& method) {
  const auto& knobs = method.regularisation;
  const auto& gate = knobs.gate;
  if (!gate.is_on()) return;
  const auto told = cat("gate.share = ", gate.share);
  require(knobs.beta > 0, method, told,
          " with beta = 0: there is no pull to let through; set beta above 0, "
          "or gate: {share: 0}");
  require(compares_rewards(method.estimator), method, told,
          " with a gradient, a flow or a surrogate: only samples whose rewards "
          "are compared can be told suspicious; set gate: {share: 0}");
  require(gate.least <= gate.share && gate.share <= gate.most, method, told,
          " outside gate.least = ", gate.least, " to gate.most = ", gate.most,
          ", between which it moves; widen them");
  require(knobs.least_pull == 1, method, told,
          " beside least_pull = ", knobs.least_pull,
          ": both say which samples are held; leave one of them out");
  require(knobs.pull_rows && !knobs.anchors, method, told,
          " with anchors or without pull_rows: a state between branches is no "
          "sample, and rows are what is held; set pull_rows: true and anchors: "
          "false");
}

void check_reset(const Method& method) {
  const auto& knobs = method.regularisation;
  if (!knobs.reset.is_on()) return;
  require(knobs.beta > 0, method,
          "reset_reference with beta = 0: no reference pulls; set beta above "
          "0, or reset_reference: {kl: 0, every: 0}");
  require(!method.estimator.is_first_order(), method,
          "reset_reference with source: trajectory: gradients go along the "
          "model before training; set reset_reference: {kl: 0, every: 0}");
  require(!method.strength.scaled_residual, method,
          "reset_reference with scaled_residual: outputs are told from the "
          "model before training; set reset_reference: {kl: 0, every: 0}");
}

}  // namespace

void check_pull(const Method& method) {
  const auto& knobs = method.regularisation;
  const auto& estimator = method.estimator;
  const auto source = to_string(estimator.source);
  const bool weighs =
      estimator.is_of_pictures() && !estimator.needs_gradients();
  require(knobs.beta > 0 ||
              (knobs.reference_guidance == 0 && knobs.least_pull == 1),
          method,
          "reference_guidance or least_pull with beta = 0: there is no ",
          "pull; set beta above 0, or reference_guidance: 0, least_pull: 1");
  require(knobs.reference_guidance == 0 || !estimator.is_first_order(), method,
          "reference_guidance with source: ", source,
          ": gradients go along the reference as the loss guides it; set "
          "reference_guidance: 0");
  require(knobs.least_pull == 1 || weighs, method,
          "least_pull with source: ", source,
          ": only pictures that are compared are held by how good they "
          "are; set source: pictures, or least_pull: 1");
  check_gate(method);
  check_reset(method);
}

}  // namespace rsm
