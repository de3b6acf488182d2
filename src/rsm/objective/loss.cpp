#include "rsm/objective/loss.h"

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;

void check_scalars(const torch::Tensor& values, int64_t size,
                   const char* name) {
  RSM_CHECK(values.defined() && values.dim() == 1 && values.size(0) == size &&
                values.scalar_type() == torch::kFloat64,
            "[rsm_loss] ", name, " must be [", size, "] float64");
}

void check_fields(const torch::Tensor& values, const torch::Tensor& y,
                  int64_t size, const char* name) {
  RSM_CHECK(values.defined() && values.dim() == 4 && values.size(0) == size &&
                values.sizes().slice(1) == y.sizes().slice(1) &&
                values.scalar_type() == y.scalar_type(),
            "[rsm_loss] ", name, " must be [", size,
            ",C,H,W] with y's C, H, W and dtype; y is ", y.sizes(), " ",
            y.dtype());
}

void check(const torch::Tensor& y, const LossStates& states,
           const LossRows& rows) {
  RSM_CHECK(y.dim() == 4 && y.size(0) > 0 &&
                (y.scalar_type() == torch::kFloat32 ||
                 y.scalar_type() == torch::kFloat64),
            "[rsm_loss] y is ", y.sizes(), " ", y.dtype(),
            "; allowed: [S,C,H,W] float32 or float64");
  RSM_CHECK(rows.state.defined() && rows.state.dim() == 1 &&
                rows.state.scalar_type() == torch::kInt64,
            "[rsm_loss] rows.state must be [R] int64");
  const int64_t size = rows.state.size(0);
  check_fields(states.y_old, y, y.size(0), "y_old");
  for (const auto& pull : states.pulls) {
    check_fields(pull.toward, y, y.size(0), "pulls[].toward");
    check_scalars(pull.k, y.size(0), "pulls[].k");
  }
  check_fields(rows.direction, y, size, "direction");
  check_scalars(rows.guidance, size, "guidance");
  check_scalars(rows.trust, size, "trust");
  check_scalars(rows.weight, size, "weight");
  check_scalars(rows.advantage, size, "advantage");
  check_scalars(rows.slope, size, "slope");
  check_scalars(rows.exponent, size, "exponent");
  check_scalars(rows.square, size, "square");
  check_scalars(rows.post, size, "post");
  RSM_CHECK(!rows.unclipped.defined() ||
                (rows.unclipped.sizes() == rows.state.sizes() &&
                 rows.unclipped.scalar_type() == torch::kBool),
            "[rsm_loss] unclipped must be undefined or [", size, "] bool");
}

/** <a b> of each row, summed in float64. */
torch::Tensor mean_product(const torch::Tensor& a, const torch::Tensor& b) {
  return (a * b).flatten(1).mean(1, false, torch::kFloat64);
}

/** [S] column as [S,1,1,1] in y's dtype. */
torch::Tensor column(const torch::Tensor& values, const torch::Tensor& y) {
  return values.to(y.scalar_type()).view({-1, 1, 1, 1});
}

/** Drops rows that reached the divergence and go on; `free` is their loss. */
void drop_far_rows(RowLosses& out, const LossRows& rows,
                   const torch::Tensor& free) {
  out.outside = out.t1 >= rows.clip_range;
  out.clipped = out.outside & (rows.advantage * out.scaled < 0);
  out.loss = free.masked_fill(out.clipped, 0);
}

void clip_ratio(RowLosses& out, const LossRows& rows) {
  const auto& a = rows.advantage;
  const double xi = rows.clip_range;
  // expm1 keeps R - 1 accurate where it is compared with a tiny range.
  const auto excess = torch::expm1(-out.scaled);
  out.importance = 1 + excess;
  const auto free = -a * out.importance;
  if (rows.by_divergence) {
    drop_far_rows(out, rows, rows.post * free);
    return;
  }
  out.clipped = ((a > 0) & (excess > xi)) | ((a < 0) & (excess < -xi));
  out.outside = excess.abs() > xi;
  out.loss = rows.post * torch::maximum(free, -a * (1 + excess.clamp(-xi, xi)));
}

/** Nothing is clipped: beyond the range the parabola pulls back. */
void hold_ratio(RowLosses& out, const LossRows& rows) {
  const auto& a = rows.advantage;
  const double xi = rows.clip_range;
  const auto excess = torch::expm1(-out.scaled);
  const auto ratio = 1 + excess;
  out.importance = ratio * (1 - a.sign() * excess / xi);
  out.clipped = torch::zeros_like(a, torch::kBool);
  out.outside = excess.abs() > xi;
  out.loss = rows.post * (-a * ratio + a.abs() * excess.square() / (2 * xi));
}

/** Of `matching` and `none`. */
void cut_hinge(RowLosses& out, const LossRows& rows) {
  const auto& a = rows.advantage;
  out.importance = torch::ones_like(a);
  auto hinge = a * out.scaled;
  if (rows.importance == Importance::matching) {
    if (rows.by_divergence) {
      drop_far_rows(out, rows, rows.post * hinge);
      return;
    }
    hinge = hinge + rows.clip_range * a.abs();
    out.clipped = hinge < 0;
    hinge = hinge.clamp_min(0);
  } else {
    out.clipped = torch::zeros_like(a, torch::kBool);
  }
  out.outside = out.clipped;
  out.loss = rows.post * hinge;
}

RowLosses losses_of_change(const torch::Tensor& change, const LossRows& rows) {
  RowLosses out;
  const auto squares = mean_product(change, change);
  const auto row_squares = squares.index_select(0, rows.state);
  const auto products =
      mean_product(change.index_select(0, rows.state), rows.direction);
  out.t1 = 0.5 * rows.slope.square() * row_squares;
  out.t2 = -rows.slope * products;
  out.scaled = rows.exponent * (rows.square * out.t1 + out.t2);
  switch (rows.importance) {
    case Importance::ratio:
      clip_ratio(out, rows);
      break;
    case Importance::quadratic:
      hold_ratio(out, rows);
      break;
    case Importance::matching:
    case Importance::none:
      cut_hinge(out, rows);
      break;
  }
  return out;
}

/** The same, where some rows have no ratio whatever others have. */
RowLosses losses_of_all(const torch::Tensor& change, const LossRows& rows) {
  auto out = losses_of_change(change, rows);
  if (!rows.unclipped.defined()) return out;
  const auto& free = rows.unclipped;
  out.importance = out.importance.masked_fill(free, 1);
  out.clipped = out.clipped & ~free;
  out.outside = out.outside & ~free;
  out.loss =
      torch::where(free, rows.post * rows.advantage * out.scaled, out.loss);
  return out;
}

}  // namespace

RowLosses row_losses(const torch::Tensor& y, const LossStates& states,
                     const LossRows& rows) {
  const torch::NoGradGuard no_grad;
  check(y, states, rows);
  return losses_of_all(y - states.y_old, rows);
}

LossResult rsm_loss(const torch::Tensor& y, const LossStates& states,
                    const LossRows& rows) {
  const torch::NoGradGuard no_grad;
  check(y, states, rows);
  const auto change = y - states.y_old;
  LossResult out;
  out.rows = losses_of_all(change, rows);
  // R c weight: everything outside a row's bracket.
  const auto outer =
      torch::where(out.rows.clipped, torch::zeros_like(rows.weight),
                   out.rows.importance * rows.weight);
  const auto trust = torch::zeros({y.size(0)}, rows.trust.options())
                         .index_add_(0, rows.state, outer * rows.trust);
  out.gradient = column(trust, y) * change;
  out.gradient.index_add_(0, rows.state,
                          column(-outer * rows.guidance, y) * rows.direction);
  for (const auto& pull : states.pulls) {
    const auto apart = y - pull.toward;
    out.gradient += column(pull.k, y) * apart;
    out.pull += (pull.k * mean_product(apart, apart)).sum().item<double>();
  }
  const auto elements = static_cast<double>(y[0].numel());
  out.gradient *= 2 / elements;
  out.policy = (rows.weight * out.rows.loss).sum().item<double>();
  return out;
}

}  // namespace rsm
