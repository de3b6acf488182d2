#include "rsm/data/certainty.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/** Probability of a normal number beyond +-z. */
double tails(double z) { return std::erfc(z / std::numbers::sqrt2); }

/** A category's pictures, or those of several. */
struct Stratum {
  std::vector<double> values;
  std::vector<int64_t> prompts;

  void add(const Stratum& other) {
    values.insert(values.end(), other.values.begin(), other.values.end());
    prompts.insert(prompts.end(), other.prompts.begin(), other.prompts.end());
  }
};

/** Strata of at least two pictures each, as far as there are two. */
std::vector<Stratum> strata_of(const std::vector<double>& values,
                               const std::vector<int64_t>& prompts,
                               const std::vector<std::string>& categories) {
  std::map<std::string, Stratum> by_category;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) {
      by_category[categories[i]].add({{values[i]}, {prompts[i]}});
    }
  }
  std::vector<Stratum> out;
  Stratum lonely;
  for (const auto& [name, stratum] : by_category) {
    if (stratum.values.size() > 1) {
      out.push_back(stratum);
    } else {
      lonely.add(stratum);
    }
  }
  if (lonely.values.size() == 1 && !out.empty()) {
    out.back().add(lonely);
  } else if (!lonely.values.empty()) {
    out.push_back(lonely);
  }
  return out;
}

/** Pictures that are left out together. */
struct Cluster {
  double sum = 0;
  double count = 0;
};

/** Those of a prompt; with one prompt alone every picture is one. */
std::vector<Cluster> clusters_of(const Stratum& stratum) {
  std::map<int64_t, Cluster> by_prompt;
  std::vector<Cluster> pictures, out;
  for (size_t i = 0; i < stratum.values.size(); ++i) {
    pictures.push_back({stratum.values[i], 1});
    auto& cluster = by_prompt[stratum.prompts[i]];
    cluster.sum += stratum.values[i];
    cluster.count += 1;
  }
  if (by_prompt.size() == 1) return pictures;
  for (const auto& [id, cluster] : by_prompt) out.push_back(cluster);
  return out;
}

/** The square of a standard error. */
struct Variance {
  double value = 0;
  double freedom = 0;
};

/** Of the mean over a stratum. */
Variance variance_of(const Stratum& stratum) {
  const auto clusters = clusters_of(stratum);
  const double mean = mean_of(stratum.values);
  const auto pictures = static_cast<double>(stratum.values.size());
  const auto n = static_cast<double>(clusters.size());
  double square = 0;
  for (const auto& cluster : clusters) {
    // By how much the mean without it differs.
    const double moved =
        (cluster.sum - cluster.count * mean) / (pictures - cluster.count);
    square += moved * moved;
  }
  return {square * (n - 1) / n, n - 1};
}

/** The continued fraction of the incomplete beta function (DLMF 8.17.22), by
 * Lentz's method. */
double beta_fraction(double a, double b, double x) {
  constexpr int kMostTerms = 10000;
  constexpr double kTiny = 1e-300, kExact = 1e-15;
  const auto safe = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / safe(1 - (a + b) * x / (a + 1));
  double out = d;
  for (int m = 1; m < kMostTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd =
        -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double factor = 1;
    for (const double term : {even, odd}) {
      d = 1 / safe(1 + term * d);
      c = safe(1 + term / c);
      factor = c * d;
      out *= factor;
    }
    if (std::abs(factor - 1) < kExact) break;
  }
  return out;
}

/** Probability of Student's t beyond +-t: the incomplete beta function of
 * (freedom / 2, 1 / 2) at freedom / (freedom + t^2). */
double t_tails(double t, double freedom) {
  constexpr double kNormal = 1e6;  ///< from here on, to 1e-6
  if (freedom > kNormal) return tails(t);
  const double a = freedom / 2, b = 0.5;
  const double x = freedom / (freedom + t * t);
  const double y = t * t / (freedom + t * t);
  const double scale =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
               a * std::log(x) + b * std::log(y));
  return x < (a + 1) / (a + b + 2) ? scale * beta_fraction(a, b, x) / a
                                   : 1 - scale * beta_fraction(b, a, y) / b;
}

}  // namespace

double t_quantile(double two_sided_tail, double freedom) {
  if (!(freedom > 0 && two_sided_tail > 0 && two_sided_tail < 1)) {
    return kUnknown;
  }
  constexpr int kHalvings = 60;
  double low = 0, high = 1;
  while (t_tails(high, freedom) > two_sided_tail) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (t_tails(middle, freedom) > two_sided_tail ? low : high) = middle;
  }
  return high;
}

bool MeanError::is_known() const { return std::isfinite(standard); }

double MeanError::sure(size_t statements) const {
  // What so many statements may each be wrong by chance.
  const double tail = tails(kSureErrors) / static_cast<double>(statements);
  return standard * t_quantile(tail, freedom);
}

double MeanError::shown() const { return sure() / kSureErrors; }

MeanError error_of_both(const MeanError& a, const MeanError& b) {
  const double v = a.standard * a.standard, w = b.standard * b.standard;
  if (v + w == 0) return {0, a.freedom + b.freedom};
  return {std::sqrt(v + w),
          (v + w) * (v + w) / (v * v / a.freedom + w * w / b.freedom)};
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  int64_t count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : kUnknown;
}

MeanError error_of_mean(const std::vector<double>& values,
                        const std::vector<int64_t>& prompts,
                        const std::vector<std::string>& categories) {
  RSM_CHECK(
      values.size() == prompts.size() && values.size() == categories.size(),
      "[certainty] ", values.size(), " values arrived for the pictures of ",
      prompts.size(), " prompts and ", categories.size(),
      " categories; as many of all are needed");
  const auto strata = strata_of(values, prompts, categories);
  double pictures = 0;
  for (const auto& stratum : strata) {
    pictures += static_cast<double>(stratum.values.size());
  }
  double sum = 0, squares = 0, pooled = 0;
  for (const auto& stratum : strata) {
    const auto [value, freedom] = variance_of(stratum);
    const double share = static_cast<double>(stratum.values.size()) / pictures;
    const double part = share * share * value;
    sum += part;
    squares += part * part / freedom;
    pooled += freedom;
  }
  if (strata.empty() || std::isnan(sum)) return {};
  return {std::sqrt(sum),
          sum > 0 ? std::max(1.0, sum * sum / squares) : pooled};
}

}  // namespace rsm
