#pragma once

#include <string>
#include <vector>

#include "rsm/analysis/estimator_error.h"
#include "rsm/plot/text_table.h"

namespace rsm {

/** Words of files: "tilted", "ref"; "step", "unit", "one", "none". */
std::string to_string(ToyPolicy policy);
std::string to_string(ToyOmega omega);

/** One row a result: estimator, lookahead, split, branch, timestep, policy,
 * omega, samples, network_evals, rmse, rmse_se; what an estimator does not have
 * is empty. */
report::TextTable estimator_rows(const std::vector<EstimatorError>& errors);

/** For people, of one policy and timestep, carried by the step's own Omega: an
 * estimator a row, its errors with few, some and the most samples. */
report::TextTable estimator_table(const std::vector<EstimatorError>& errors,
                                  ToyPolicy policy, int64_t timestep);

/** A plot and what its file is called. */
struct EstimatorPlot {
  std::string file;
  std::string svg;
};

/** Figure 2 (b) and (c) of a policy and timestep: the error against samples or
 * network evaluations, both logarithmic. */
std::vector<EstimatorPlot> estimator_plots(
    const std::vector<EstimatorError>& errors, ToyPolicy policy,
    int64_t timestep);

/** Writes estimators.csv, estimators.txt and the plots into a folder, which is
 * made; returns the files. Throws rsm::Error. */
std::vector<std::string> write_estimator_errors(
    const std::vector<EstimatorError>& errors, const std::string& folder);

/** The tables of every policy and timestep, under their titles. */
std::string estimator_text(const std::vector<EstimatorError>& errors);

}  // namespace rsm
