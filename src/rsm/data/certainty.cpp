#include "rsm/data/certainty.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

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

/** Abramowitz and Stegun 26.7.5, for u = 1 / freedom. */
double expanded_factor(double u) {
  constexpr double s = kSureErrors * kSureErrors;
  const double first = (s + 1) / 4;
  const double second = ((5 * s + 16) * s + 3) / 96;
  const double third = (((3 * s + 19) * s + 17) * s - 15) / 384;
  const double fourth =
      ((((79 * s + 776) * s + 1482) * s - 1920) * s - 945) / 92160;
  return 1 + u * (first + u * (second + u * (third + u * fourth)));
}

}  // namespace

double sure_errors(size_t statements) {
  const double wanted = tails(kSureErrors) / static_cast<double>(statements);
  double low = kSureErrors, high = 40;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (tails(middle) > wanted ? low : high) = middle;
  }
  return statements > 1 ? high : kSureErrors;
}

double small_sample_factor(double freedom) {
  if (!(freedom >= 1)) return kMissing;
  const double u = 1 / freedom;
  if (freedom >= 3) return expanded_factor(u);
  // The quantile has a closed form at 1 and 2; between them it is nearly
  // exponential in u.
  const double covered = 1 - tails(kSureErrors);
  const double one = std::tan(std::numbers::pi * covered / 2) / kSureErrors;
  const double two =
      covered * std::sqrt(2 / (1 - covered * covered)) / kSureErrors;
  if (freedom < 2) return two * std::pow(one / two, 2 * u - 1);
  const double three = expanded_factor(1.0 / 3);
  return three * std::pow(two / three, 6 * u - 2);
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  int64_t count = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : kMissing;
}

double error_of_mean(const std::vector<double>& values,
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
  double sum = 0, squares = 0;
  for (const auto& stratum : strata) {
    const auto [value, freedom] = variance_of(stratum);
    const double share = static_cast<double>(stratum.values.size()) / pictures;
    const double part = share * share * value;
    sum += part;
    squares += part * part / freedom;
  }
  if (strata.empty() || std::isnan(sum)) return kMissing;
  if (sum == 0) return 0;
  return std::sqrt(sum) *
         small_sample_factor(std::max(1.0, sum * sum / squares));
}

}  // namespace rsm
