#include "rsm/methods/check_comparison.h"

#include "rsm/methods/names.h"
#include "rsm/methods/require.h"

namespace rsm {

using Source = EstimatorKnobs::Source;
using Grouping = EstimatorKnobs::Grouping;
using Baseline = EstimatorKnobs::Baseline;
using KlForm = RegularisationKnobs::KlForm;

bool compares_members(const EstimatorKnobs& knobs) {
  return knobs.baseline == Baseline::mean ||
         knobs.baseline == Baseline::leave_one_out;
}

void check_pairs(const Method& method) {
  const auto& knobs = method.estimator;
  const auto& update = method.regularisation;
  require(knobs.grouping == Grouping::seed && compares_members(knobs), method,
          "source: pairs with grouping: ", to_string(knobs.grouping),
          " and baseline: ", to_string(knobs.baseline),
          ": a path is compared with the other of its pair; set grouping: "
          "seed, and baseline: mean");
  require(StrengthKnobs::is_of_time(method.strength.shape), method,
          "strength.shape: ", to_string(method.strength.shape),
          ": it is of a step's noise, and pairs are told apart by outputs; set "
          "flat, linear, quadratic, predicted, predicted_squared or exact");
  require(update.beta == 0 || update.kl_form == KlForm::output ||
              update.kl_form == KlForm::elbo,
          method, "source: pairs with kl_form: ", to_string(update.kl_form),
          ": the last step has no variance; set kl_form: output, or elbo");
}

void check_diversity(const Method& method) {
  using Diversity = EstimatorKnobs::Diversity;
  const auto& knobs = method.estimator;
  if (knobs.diversity == Diversity::none) return;
  const auto told = cat("diversity: ", to_string(knobs.diversity));
  require(
      !knobs.needs_gradients() && !knobs.has_flow() && !knobs.has_surrogate(),
      method, told, " with a gradient, a flow or a surrogate: advantages ",
      "are not those of rewards alone there; set diversity: none");
  require(knobs.source != Source::tree && !knobs.is_of_pairs(), method, told,
          " with source: ", to_string(knobs.source),
          ": rows have no picture of their own, or one sibling; set diversity: "
          "none");
  require(compares_members(knobs) || knobs.baseline == Baseline::running,
          method, told, " with baseline: ", to_string(knobs.baseline),
          ": an advantage above 0 is to mean better than its siblings; set "
          "baseline: mean");
}

}  // namespace rsm
