#include "rsm/estimators/forward_rows.h"

#include "rsm/objective/rows.h"

namespace rsm {

ForwardRows::ForwardRows(const Method& method, uint64_t seed)
    : ZerothOrder(method, seed), regression_(forward_method(method), seed) {}

void ForwardRows::at_output(const torch::Tensor& y, LossTerms& terms) const {
  auto& rows = terms.rows;
  const auto which = rows.unclipped.nonzero().flatten();
  const auto own = [&](const torch::Tensor& all) {
    return all.index_select(0, which);
  };
  LossTerms forward;
  forward.states.y_old = terms.states.y_old;
  forward.rows.state = own(rows.state);
  forward.rows.direction = own(rows.direction);
  forward.rows.advantage = own(rows.advantage);
  forward.rows.exponent = own(rows.exponent);
  forward.rows.guidance = own(rows.guidance);
  forward.rows.trust = own(rows.trust);
  forward.rows.importance = RegularisationKnobs::Importance::none;
  regression_.at_output(y, forward);
  rows.guidance = rows.guidance.index_copy(0, which, forward.rows.guidance);
  rows.trust = rows.trust.index_copy(0, which, forward.rows.trust);
}

}  // namespace rsm
