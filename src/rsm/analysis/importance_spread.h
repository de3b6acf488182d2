#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/rollout.h"
#include "rsm/plot/text_table.h"

namespace rsm {

/** The two forms that importance is given, over the rows of a sampler step:
 * rho and its first order 1 + log rho (arXiv 2604.17415 and 2509.25774). For
 * one row rho is log-normal: with k the KL of the whole latent,
 * log rho ~ N(-k, 2 k), so that Var rho = exp(2 k) - 1, Var log rho = 2 k. */
struct ImportanceSpread {
  int64_t step = 0;
  double t = 0;
  int64_t rows = 0;
  double kl = 0;  ///< of one step, summed over the latent; mean over rows
  /** Variance over the rows, of a whole latent's density. */
  double ratio = 0, linear = 0;
  /** What `ratio` is expected to be: heavy tails make the measured one small.
   * exp(2 kl) - 1, averaged over rows; infinite where a double cannot hold it.
   */
  double ratio_expected = 0;
  /** The same two, of the mean over latent elements, as published losses take
   * log rho. */
  double ratio_by_element = 0, linear_by_element = 0;
};

/** Of the rows of a rollout of stochastic paths that a policy with outputs
 * `rollout.y` drew, weighed for another that says y [S,C,H,W] there: the ratios
 * are the loss's own (row_losses). NaN variances where a step has one row.
 * Throws rsm::Error for shapes that do not fit. */
std::vector<ImportanceSpread> importance_spread(const Rollout& rollout,
                                                const torch::Tensor& y);

/** One row a step; names of the columns as above. */
report::TextTable importance_table(const std::vector<ImportanceSpread>& steps);

/** log10 of the variances by time; "" where none is known. */
std::string importance_plot(const std::vector<ImportanceSpread>& steps);

}  // namespace rsm
