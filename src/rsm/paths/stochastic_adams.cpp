#include "rsm/paths/stochastic_adams.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

void check_settings(const StochasticAdams& settings) {
  const auto in = [](int64_t order, int64_t least) {
    return order >= least && order <= kMostAdamsOrder;
  };
  RSM_CHECK(in(settings.predictor_order, 1) && in(settings.corrector_order, 0),
            "[SA-Solver] predictor of order ", settings.predictor_order,
            ", corrector of order ", settings.corrector_order,
            "; allowed: 1 to ", kMostAdamsOrder, ", and 0 for no corrector");
  RSM_CHECK(settings.tau >= 0, "[SA-Solver] tau ", settings.tau,
            "; a number of at least 0 is needed");
}

/** int_0^z v^k e^-v dv. */
double incomplete_gamma(int64_t k, double z) {
  if (z > 1) {
    double value = -std::expm1(-z), power = 1;
    for (int64_t j = 1; j <= k; ++j) {
      power *= z;
      value = static_cast<double>(j) * value - power * std::exp(-z);
    }
    return value;
  }
  // For short steps the above is a small difference of large numbers.
  constexpr double kRounding = 1e-17;
  auto n = static_cast<double>(k + 1);
  double term = std::pow(z, n) * std::exp(-z) / n;
  double sum = 0;
  while (term > kRounding * sum) {
    sum += term;
    term *= z / ++n;
  }
  return sum;
}

/** Coefficients, constant first, of the polynomial that is 1 at nodes[j] and 0
 * at the others. */
std::vector<double> lagrange(const std::vector<double>& nodes, size_t j) {
  std::vector<double> out = {1};
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (i == j) continue;
    const double gap = nodes[j] - nodes[i];
    out.push_back(0);
    for (size_t k = out.size(); k-- > 0;) {
      out[k] = ((k > 0 ? out[k - 1] : 0) - nodes[i] * out[k]) / gap;
    }
  }
  return out;
}

/** One step of the exponential integrator. */
class Interval {
 public:
  Interval(const Path& path, const std::vector<double>& times, int64_t i,
           double tau)
      : path_(path),
        times_(times),
        next_(times[i + 1]),
        tau_(tau),
        signal_(path.signal(next_)),
        noise_(path.noise(next_)),
        before_(path.noise(times[i])),
        // e^-h, also where lambda or lambda' is infinite.
        decay_(path.signal(times[i]) * noise_ / (signal_ * before_)) {}

  /** By the pictures predicted at times[newest], times[newest - 1], ... */
  AdamsStep step(int64_t newest, int64_t order) const {
    const double kept = std::pow(decay_, tau_ * tau_);
    AdamsStep out;
    out.keep = noise_ / before_ * kept;
    out.noise = noise_ * std::sqrt(1 - kept * kept);
    out.shares = shares(newest, order);
    return out;
  }

 private:
  double lambda(double t) const {
    return std::log(path_.signal(t) / path_.noise(t));
  }

  std::vector<double> shares(int64_t newest, int64_t order) const {
    const double g = 1 + tau_ * tau_;
    if (order == 1) return {signal_ * (1 - std::pow(decay_, g))};
    const double h = -std::log(decay_);
    std::vector<double> moments;  // int_0^h g e^(-g u) u^k du
    for (int64_t k = 0; k < order; ++k) {
      moments.push_back(incomplete_gamma(k, g * h) / std::pow(g, k));
    }
    if (order == 2) moments[1] = h * moments[0] - g * h * h / 2;
    std::vector<double> nodes;  // lambda' - lambda_j
    for (int64_t j = 0; j < order; ++j) {
      nodes.push_back(lambda(next_) - lambda(times_[newest - j]));
    }
    std::vector<double> out;
    for (size_t j = 0; j < nodes.size(); ++j) {
      const auto polynomial = lagrange(nodes, j);
      double sum = 0;
      for (size_t k = 0; k < moments.size(); ++k) {
        sum += polynomial[k] * moments[k];
      }
      out.push_back(signal_ * sum);
    }
    return out;
  }

  const Path& path_;
  const std::vector<double>& times_;
  double next_, tau_, signal_, noise_, before_, decay_;
};

/** How many of the times up to `newest` have a lambda, going back from it. */
int64_t nodes_until(const Path& path, const std::vector<double>& times,
                    int64_t newest) {
  int64_t count = 0;
  while (count <= newest && path.signal(times[newest - count]) > 0) ++count;
  return count;
}

}  // namespace

StochasticAdams usual_adams(Family family) {
  if (family == Family::diffusion) return {};
  return {.tau = 0.4, .from = 0.3, .to = 0.9};
}

AdamsStep adams_predictor(const Path& path, const std::vector<double>& times,
                          int64_t i, const StochasticAdams& settings) {
  check_step(times, i);
  check_settings(settings);
  const int64_t left = std::ssize(times) - 1 - i;
  const int64_t order =
      std::min({settings.predictor_order, left, nodes_until(path, times, i)});
  return Interval(path, times, i, settings.tau_at(times[i]))
      .step(i, std::max<int64_t>(order, 1));
}

std::optional<AdamsStep> adams_corrector(const Path& path,
                                         const std::vector<double>& times,
                                         int64_t i,
                                         const StochasticAdams& settings) {
  check_step(times, i);
  check_settings(settings);
  const int64_t left = std::ssize(times) - 1 - i;
  const int64_t nodes = nodes_until(path, times, i);
  // There is no output at the last time.
  if (settings.corrector_order == 0 || nodes == 0 || left == 1) {
    return std::nullopt;
  }
  const int64_t order =
      std::min({settings.corrector_order, left + 1, nodes + 1});
  return Interval(path, times, i, settings.tau_at(times[i])).step(i + 1, order);
}

}  // namespace rsm
