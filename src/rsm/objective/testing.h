#pragma once

#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <numbers>
#include <string>

#include "rsm/base/error.h"
#include "rsm/base/method.h"
#include "rsm/base/transition.h"
#include "rsm/estimators/advantages.h"

/** The published losses as their papers and releases write them, which the one
 * loss is tested against; no part of the library includes this. */
namespace rsm {

/** A published reweighting as knobs. TempFlow's ratio form is clipped (or
 * held) in the log-ratio, its matching form in the scaled one. */
inline Method reweighted(const std::string& name,
                         RegularisationKnobs::Importance importance) {
  using ClipIn = RegularisationKnobs::ClipIn;
  using Shape = StrengthKnobs::Shape;
  Method method;
  method.name = name;
  method.regularisation.importance = importance;
  auto& clip_in = method.regularisation.clip_in;
  auto& shape = method.strength.shape;
  if (name == "tempflow") {
    shape = Shape::noise;
    clip_in = importance == RegularisationKnobs::Importance::matching
                  ? ClipIn::strength
                  : ClipIn::log_ratio;
  } else if (name == "pcpo") {
    shape = Shape::proportional;
    clip_in = ClipIn::strength;
  } else if (name == "even") {
    shape = Shape::uniform;
    clip_in = ClipIn::strength;
  } else if (name == "cps") {
    shape = Shape::variance;
    method.strength.scale = 2;
    clip_in = ClipIn::strength;
  } else if (name == "guard") {
    shape = Shape::sigma;
    clip_in = ClipIn::centred;
  } else if (name == "fairclip" || name == "fairclip2") {
    if (name == "fairclip2") shape = Shape::sigma;
    clip_in = ClipIn::variance;
  } else if (name == "divergence") {
    clip_in = ClipIn::divergence;
  }
  return method;
}

inline Advantages given(std::vector<float> values) {
  Advantages out;
  out.value = torch::tensor(values);
  out.alive = out.value != 0;
  out.differs = out.value != 0;
  out.trained = torch::ones_like(out.alive);
  return out;
}

/** Outputs at all states of a rollout, of training and of the reference. */
inline Outputs outputs_of(const torch::Tensor& y_old,
                          const torch::Tensor& y_ref) {
  std::vector<int64_t> all;
  for (int64_t s = 0; s < y_old.size(0); ++s) all.push_back(s);
  return {{y_old, all}, {y_ref, all}};
}

/** One row; tensors [1,C,H,W]. */
struct Sample {
  Transition step;
  torch::Tensor x, x_next, y_old;  ///< [1,C,H,W]
  double advantage;
  double xi;
};

inline torch::Tensor mean_of(const torch::Tensor& x, const torch::Tensor& y,
                             const Transition& step) {
  return step.a_x * x + step.m_y * y;
}

/** M / s; of steps of the flow's SDE as their releases compute it from s~. */
inline double published_weight(const Transition& step) {
  const double dt = step.t - step.t_next;
  const double s_tilde = step.s / std::sqrt(dt);
  const double sde_a_x = 1 - s_tilde * s_tilde * dt / (2 * step.t);
  return std::abs(step.a_x - sde_a_x) < 1e-12
             ? std::sqrt(dt) / s_tilde *
                   (1 + s_tilde * s_tilde * (1 - step.t) / (2 * step.t))
             : std::abs(step.m_y) / step.s;
}

inline torch::Tensor log_density(const Sample& sample,
                                 const torch::Tensor& mean) {
  const double s = sample.step.s;
  return (-(sample.x_next - mean).square() / (2 * s * s)).mean() - std::log(s) -
         std::log(std::sqrt(2 * std::numbers::pi));
}

/** R of a row, and what its loss is multiplied by. */
struct PublishedRatio {
  torch::Tensor value;
  double post;
};

inline PublishedRatio published_ratio(const std::string& name,
                                      const Sample& sample,
                                      const torch::Tensor& y) {
  const auto& step = sample.step;
  const double dt = step.t - step.t_next;
  const double s = step.s;
  const double s_tilde = s / std::sqrt(dt);
  const auto mean = mean_of(sample.x, y, step);
  const auto mean_old = mean_of(sample.x, sample.y_old, step);
  const auto log_rho =
      log_density(sample, mean) - log_density(sample, mean_old);
  torch::Tensor ratio;
  double post = 1;
  if (name == "base" || name == "divergence") {
    ratio = log_rho.exp();
  } else if (name == "tempflow") {
    ratio = log_rho.exp();
    post = 2.25 * s;
  } else if (name == "pcpo") {
    const double w = -step.m_y / s;
    ratio = (log_rho * (4.3152134639895925 * dt / w)).exp();
  } else if (name == "even") {
    ratio = (log_rho * (4.5 / 8.70575076181 * s / -step.m_y)).exp();
  } else if (name == "logrho") {
    ratio = 1 + log_rho;
  } else if (name == "cps") {
    ratio = ((sample.x_next - mean_old).square().mean() -
             (sample.x_next - mean).square().mean())
                .exp();
  } else if (name == "guard") {
    const auto bias = (mean - mean_old).square().mean() / (2 * s * s);
    ratio = ((log_rho + bias) * s).exp();
    post = 1 / dt;
  } else {
    ratio = (log_rho * (s * s)).exp();
    post = 1 / (s * s);
    if (name == "fairclip2") post *= s_tilde / std::sqrt(dt);
  }
  return {ratio, post};
}

/** Whether Flow-DPPO drops a row: the step's KL to the old policy reached its
 * threshold, and the ratio went the way of the advantage. */
inline bool is_dropped(const Sample& sample, const torch::Tensor& y) {
  const double s = sample.step.s;
  const auto mean = mean_of(sample.x, y, sample.step);
  const auto mean_old = mean_of(sample.x, sample.y_old, sample.step);
  const auto kl = (mean - mean_old).square().mean() / (2 * s * s);
  const bool up =
      (log_density(sample, mean) > log_density(sample, mean_old)).item<bool>();
  return kl.item<double>() >= sample.xi && up == (sample.advantage > 0);
}

inline torch::Tensor published_ratio_loss(const std::string& name,
                                          const Sample& sample,
                                          const torch::Tensor& y) {
  const auto [ratio, post] = published_ratio(name, sample, y);
  const double a = sample.advantage;
  if (name == "divergence") {
    return -a * ratio * (is_dropped(sample, y) ? 0 : 1);
  }
  return post * torch::maximum(-a * ratio,
                               -a * ratio.clamp(1 - sample.xi, 1 + sample.xi));
}

/** SPO's. */
inline torch::Tensor published_quadratic(const std::string& name,
                                         const Sample& sample,
                                         const torch::Tensor& y) {
  const auto [ratio, post] = published_ratio(name, sample, y);
  const double a = sample.advantage;
  return post *
         (-a * ratio + std::abs(a) / (2 * sample.xi) * (ratio - 1).square());
}

inline torch::Tensor published_matching(const std::string& name,
                                        const Sample& sample,
                                        const torch::Tensor& y) {
  const auto& step = sample.step;
  const double dt = step.t - step.t_next;
  const double s = step.s;
  const double s_tilde = s / std::sqrt(dt);
  const double w = published_weight(step);
  const auto eps = (sample.x_next - mean_of(sample.x, sample.y_old, step)) / s;
  const auto change = y - sample.y_old;
  const auto t1 = 0.5 * (w * change).square().mean();
  const auto t2 = (w * change * eps).mean();
  torch::Tensor u;
  double post = 1;
  if (name == "base") {
    u = t1 + t2;
  } else if (name == "divergence") {
    return sample.advantage * (t1 + t2) * (is_dropped(sample, y) ? 0 : 1);
  } else if (name == "tempflow") {
    u = (t1 + t2) * (2.25 * s);
  } else if (name == "pcpo") {
    const auto scaled = 4.3152134639895925 * dt * change;
    u = 0.5 * scaled.square().mean() + (scaled * eps).mean();
  } else if (name == "even") {
    const auto scaled = 4.5 / 8.70575076181 * change;
    u = 0.5 * scaled.square().mean() + (scaled * eps).mean();
  } else if (name == "guard") {
    u = t2 * s;
    post = 1 / dt;
  } else {
    u = (t1 + t2) * (s * s);
    post = 1 / (s * s);
    if (name == "fairclip2") post *= s_tilde / std::sqrt(dt);
  }
  const double a = sample.advantage;
  return post * (sample.xi * std::abs(a) + a * u).clamp_min(0);
}

inline torch::Tensor published_row(const std::string& name,
                                   RegularisationKnobs::Importance importance,
                                   const Sample& sample,
                                   const torch::Tensor& y) {
  switch (importance) {
    case RegularisationKnobs::Importance::ratio:
      return published_ratio_loss(name, sample, y);
    case RegularisationKnobs::Importance::quadratic:
      return published_quadratic(name, sample, y);
    case RegularisationKnobs::Importance::matching:
      return published_matching(name, sample, y);
    case RegularisationKnobs::Importance::none:
      return -sample.advantage *
             log_density(sample, mean_of(sample.x, y, sample.step));
  }
  throw Error("an importance outside its enum");
}

inline torch::Tensor published_kl(RegularisationKnobs::KlForm form,
                                  const Transition& step,
                                  const torch::Tensor& y,
                                  const torch::Tensor& y_ref) {
  if (form == RegularisationKnobs::KlForm::unweighted) {
    return 0.5 * 4.5 * 4.5 * (y - y_ref).square().mean();
  }
  const double s_tilde = step.s / std::sqrt(step.t - step.t_next);
  const double variance = form == RegularisationKnobs::KlForm::exact
                              ? step.s * step.s
                              : s_tilde * s_tilde;
  return (step.m_y * y - step.m_y * y_ref).square().mean() / (2 * variance);
}

}  // namespace rsm
