#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/methods/by_time.h"
#include "rsm/paths/path.h"
#include "rsm/plot/text_table.h"

namespace rsm {

/** How strongly a method acts, and holds back, by time: figure 1 of arXiv
 * 2604.17415, by the factors that training itself takes. */
struct StrengthCurve {
  std::string name;
  std::vector<TimeFactors> at;  ///< every step that can be trained
};

/** Weight of |s - s_old|^2: beside C1, as the paper's caption brackets it, or
 * by itself, as its slides do. */
enum class PullForm { relative, absolute };

/** What a curve's largest, or its sum, becomes 1 by. */
enum class Normalised { max, sum, none };

/** What curves are drawn from and how. */
struct StrengthOptions {
  int64_t steps = 10;
  /** Of methods that draw with this sampler, where its level is above 0; else
   * what is usual for a method's own. */
  StepNoise noise = {.level = 0};
  PullForm pull = PullForm::relative;
  Normalised normalised = Normalised::max;
};

/** The methods on a path's grid of so many steps, each with its own sampler.
 * Throws rsm::UsageError for a method of the other family, or whose budget is
 * for another number of steps. */
std::vector<StrengthCurve> strength_curves(const std::vector<Method>& methods,
                                           const Path& path,
                                           const StrengthOptions& options);

/** Numbers as they are drawn; what is not finite is left out of the largest and
 * of the sum, and nothing changes where these are 0. */
std::vector<double> normalised(const std::vector<double>& values,
                               Normalised kind);

/** C2 of every step in a form. */
std::vector<double> pull_of(const StrengthCurve& curve, PullForm form);
/** h of every step. */
std::vector<double> h_of(const StrengthCurve& curve);

/** One row a method and step: method, step, t, K, g, h, h_normalised, C1,
 * gamma, C2, C2_relative, C2_normalised, clip_log_ratio; what is not finite is
 * empty. C2_normalised is of the form that `options` say. */
report::TextTable strength_table(const std::vector<StrengthCurve>& curves,
                                 const StrengthOptions& options);

/** h(t), and C2(t), against t, one line a method; "" where none has any. */
std::string strength_plot(const std::vector<StrengthCurve>& curves,
                          const StrengthOptions& options);
std::string pull_plot(const std::vector<StrengthCurve>& curves,
                      const StrengthOptions& options);

}  // namespace rsm
