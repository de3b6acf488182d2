#include "rsm/paths/adams_solver.h"

#include <algorithm>

#include "rsm/paths/transitions.h"

namespace rsm {

torch::Tensor AdamsSolver::step(torch::Tensor x, const torch::Tensor& y,
                                const torch::Tensor& eps) {
  check_step(times_, i_);
  const auto by = path_.prediction(times_[i_]);
  pictures_.push_front(step_mean({.a_x = by.x, .m_y = by.y}, x, y));
  if (i_ > 0) {
    if (const auto corrector =
            adams_corrector(path_, times_, i_ - 1, settings_)) {
      x = applied(*corrector, x_, eps_);
    }
  }
  x_ = x;
  eps_ = eps;
  auto next = applied(adams_predictor(path_, times_, i_, settings_), x_, eps_);
  const auto kept = static_cast<size_t>(
      std::max(settings_.predictor_order, settings_.corrector_order) - 1);
  while (pictures_.size() > kept) pictures_.pop_back();
  ++i_;
  return next;
}

torch::Tensor AdamsSolver::applied(const AdamsStep& step,
                                   const torch::Tensor& x,
                                   const torch::Tensor& eps) const {
  auto out = step.keep * x;
  for (size_t j = 0; j < step.shares.size(); ++j) {
    out += step.shares[j] * pictures_[j];
  }
  if (step.noise > 0) out += step.noise * eps;
  return out;
}

}  // namespace rsm
