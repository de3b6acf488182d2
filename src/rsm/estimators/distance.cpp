#include "rsm/estimators/distance.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Weight = PictureKnobs::Weight;

constexpr double kLeastError = 1e-5;    // of DiffusionNFT's release
constexpr double kPowerOffset = 1e-10;  // of AWM's

/** Rows of each group, best first. */
std::vector<std::vector<int64_t>> ranked(const double* advantage,
                                         const std::vector<int64_t>& group) {
  std::map<int64_t, std::vector<int64_t>> rows;
  for (int64_t r = 0; r < std::ssize(group); ++r) rows[group[r]].push_back(r);
  std::vector<std::vector<int64_t>> out;
  for (auto& [label, of_group] : rows) {
    std::stable_sort(
        of_group.begin(), of_group.end(),
        [&](int64_t a, int64_t b) { return advantage[a] > advantage[b]; });
    out.push_back(std::move(of_group));
  }
  return out;
}

/** What a mode leaves of advantages. */
torch::Tensor left_by(PictureKnobs::Mode mode, const torch::Tensor& a) {
  switch (mode) {
    case PictureKnobs::Mode::all:
      return a;
    case PictureKnobs::Mode::positive:
      return a.clamp_min(0);
    case PictureKnobs::Mode::negative:
      return a.clamp_max(0);
    case PictureKnobs::Mode::one:
      return (a > 0).to(a.dtype());
    case PictureKnobs::Mode::sign:
      return a.sign();
  }
  throw Error("[pictures] a mode outside its enum");
}

/** e^(A / tau), over its mean in the group. */
void exponentials(const PictureKnobs& knobs, const double* advantage,
                  const std::vector<int64_t>& rows, double* out) {
  // Where the mean divides, the greatest may be taken off first.
  const double most = knobs.raw ? 0 : advantage[rows.front()];
  double sum = 0;
  for (const int64_t r : rows) {
    out[r] = std::exp((advantage[r] - most) / knobs.temperature);
    sum += out[r];
  }
  if (knobs.raw) return;
  for (const int64_t r : rows) {
    out[r] *= static_cast<double>(rows.size()) / sum;
  }
}

}  // namespace

Distance distance_of(const PictureKnobs& knobs, const torch::Tensor& d) {
  const auto square = (d * d).flatten(1).mean(1, false, at::kDouble);
  switch (knobs.distance) {
    case PictureKnobs::Distance::square:
      return {square, at::ones_like(square)};
    case PictureKnobs::Distance::relative: {
      const auto error =
          d.abs().flatten(1).mean(1, false, at::kDouble).clamp_min(kLeastError);
      return {square / error, error.reciprocal()};
    }
    case PictureKnobs::Distance::power: {
      const auto base = square + kPowerOffset;
      return {base.pow(knobs.exponent) / knobs.exponent,
              base.pow(knobs.exponent - 1)};
    }
  }
  throw Error("[pictures] a distance outside its enum");
}

torch::Tensor weights_of(const PictureKnobs& knobs,
                         const torch::Tensor& advantage,
                         const std::vector<int64_t>& group) {
  const auto a = advantage.to(at::kDouble).contiguous();
  if (knobs.weight == Weight::advantage) {
    const auto left = left_by(knobs.mode, a);
    return knobs.advantage_scale *
           (knobs.squash > 0 ? knobs.squash * (left / knobs.squash).tanh()
                             : left);
  }
  const double* value = a.const_data_ptr<double>();
  auto out = at::zeros_like(a);
  double* weight = out.mutable_data_ptr<double>();
  for (const auto& rows : ranked(value, group)) {
    const auto size = static_cast<double>(rows.size());
    switch (knobs.weight) {
      case Weight::advantage:
        break;
      case Weight::exponential:
        exponentials(knobs, value, rows, weight);
        break;
      case Weight::top:
        for (int64_t k = 0; k < std::lround(std::ceil(knobs.top * size)); ++k) {
          weight[rows[k]] = 1;
        }
        break;
      case Weight::pairs:
        if (value[rows.front()] > value[rows.back()]) {
          weight[rows.front()] = 1;
          weight[rows.back()] = -1;
        }
        break;
    }
  }
  return out;
}

}  // namespace rsm
