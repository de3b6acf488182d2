#include "rsm/methods/check_return.h"

#include "rsm/methods/names.h"
#include "rsm/methods/require.h"

namespace rsm {

void check_return(const Method& method) {
  using Return = EstimatorKnobs::Return;
  const auto& knobs = method.estimator;
  if (knobs.returns == Return::hard) return;
  const auto is = "return: " + to_string(knobs.returns);
  require(!knobs.is_of_pictures() && !knobs.is_of_pairs() &&
              !knobs.has_flow() && !knobs.forward.is_on(),
          method, is, " with ",
          knobs.has_flow()      ? "a flow, which is one already"
          : knobs.is_of_pairs() ? "source: pairs, whose pictures alone differ"
          : knobs.is_of_pictures() ? "source: pictures, which have no later "
                                     "steps"
                                   : "forward.rows, which have no later steps",
          "; set return: hard");
  require(!knobs.judges_every_step(), method, is,
          " with baseline: previous_step: what steps gain is told by "
          "pictures, not by what is still to pay; set baseline: mean");
  require(method.regularisation.beta > 0, method, is,
          " with beta = 0: nothing says what a KL to the reference costs; set ",
          "beta above 0, or return: hard");
  require(method.regularisation.reference_guidance == 0, method, is,
          " with reference_guidance: later steps pay for leaving the reference "
          "as it samples; set reference_guidance: 0");
  require(!method.regularisation.reset.is_on(), method, is,
          " with reset_reference: later steps pay for leaving the model that "
          "training began with, which the pull would not know; set "
          "reset_reference: {kl: 0, every: 0}");
  require(!method.strength.scaled_residual, method, is,
          " with scaled_residual, whose outputs are not those of the "
          "network; set scaled_residual: false");
  const auto& gradient = knobs.gradient;
  if (knobs.is_first_order()) {
    require(knobs.returns == Return::soft, method, is,
            " with source: trajectory: a gradient is compared with nothing; ",
            "set return: soft");
    require(gradient.at == GradientKnobs::At::adjoint &&
                gradient.through == GradientKnobs::Through::policy,
            method, is, " with gradient.at: ", to_string(gradient.at),
            gradient.at == GradientKnobs::At::adjoint
                ? cat(", through: ", to_string(gradient.through),
                      ", whose Jacobians leave out what the policy has learnt "
                      "and with it what that costs; set through: policy")
                : std::string(" has no later steps; set at: adjoint, through: "
                              "policy"),
            ", or return: hard");
    require(gradient.replay == 0, method, is,
            " with gradient.replay = ", gradient.replay,
            ": a path of an older policy does not say what the present one "
            "pays; set replay: 0");
    require(gradient.value.kind == ValueKnobs::Kind::none, method, is,
            " with value.kind: ", to_string(gradient.value.kind),
            ": the network learns the value by itself; set return: hard");
    return;
  }
  if (knobs.returns != Return::exponential) return;
  const bool compares =
      knobs.baseline == EstimatorKnobs::Baseline::mean ||
      knobs.baseline == EstimatorKnobs::Baseline::leave_one_out;
  require(knobs.source != EstimatorKnobs::Source::tree && compares &&
              !knobs.has_surrogate(),
          method, is,
          " needs source: rollout or branches, baseline: mean or "
          "leave_one_out and no surrogate: it is a ratio to a group's mean; "
          "set them, or return: soft");
}

}  // namespace rsm
