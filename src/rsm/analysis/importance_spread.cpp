#include "rsm/analysis/importance_spread.h"

#include <cmath>
#include <limits>

#include "rsm/base/error.h"
#include "rsm/objective/rows.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"

namespace rsm {
namespace {

constexpr int kRatioDigits = 8;  ///< about those of ratios in float32

/** The plain ratio of densities, of rows that all count alike. */
Method ratio_method() {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::rollout;
  method.regularisation.importance = RegularisationKnobs::Importance::ratio;
  return method;
}

/** Every row is as good as any other. */
Guidance even_guidance(const Rollout& rollout) {
  Guidance out;
  const auto yes = at::ones({rollout.rows()}, at::kBool);
  out.advantages.value = at::ones({rollout.rows()});
  out.advantages.alive = out.advantages.differs = out.advantages.trained = yes;
  out.trained = all_states(rollout);
  return out;
}

/** The loss's view of some states' rows at outputs y. */
RowLosses losses_at(const Rollout& rollout, const torch::Tensor& y,
                    const std::vector<int64_t>& states) {
  const auto method = ratio_method();
  const auto guidance = even_guidance(rollout);
  Outputs outputs;
  outputs.old = {rollout.y, all_states(rollout)};
  const auto weights =
      update_weights(method, rollout, guidance.advantages, states);
  const auto terms =
      loss_terms(method, rollout, outputs, guidance, weights, states);
  return row_losses(y.index_select(0, torch::tensor(states, at::kLong)),
                    terms.states, terms.rows);
}

double variance(const torch::Tensor& values) {
  return values.numel() < 2 ? std::numeric_limits<double>::quiet_NaN()
                            : values.var().item<double>();
}

std::string ratio_cell(double value) {
  return report::format_digits(value, kRatioDigits);
}

}  // namespace

std::vector<ImportanceSpread> importance_spread(const Rollout& rollout,
                                                const torch::Tensor& y) {
  RSM_CHECK(y.sizes() == rollout.y.sizes(), "[importance] outputs ", y.sizes(),
            " for a rollout's ", rollout.y.sizes(), "; one a state is needed");
  const auto elements = static_cast<double>(y[0].numel());
  const auto with_rows = states_with_rows(rollout);
  std::vector<ImportanceSpread> out;
  for (size_t i = 0; i < rollout.transitions.size(); ++i) {
    std::vector<int64_t> states;
    for (const int64_t state : with_rows) {
      if (rollout.state_step[state] == static_cast<int64_t>(i)) {
        states.push_back(state);
      }
    }
    if (states.empty()) continue;
    const auto rows = losses_at(rollout, y, states);
    const auto log_ratio = rows.log_ratio();
    const auto kl = elements * rows.t1;
    out.push_back({.step = static_cast<int64_t>(i),
                   .t = rollout.transitions[i].t,
                   .rows = log_ratio.numel(),
                   .kl = kl.mean().item<double>(),
                   .ratio = variance((elements * log_ratio).exp()),
                   .linear = variance(elements * log_ratio),
                   .ratio_expected = (2 * kl).expm1().mean().item<double>(),
                   .ratio_by_element = variance(rows.importance),
                   .linear_by_element = variance(log_ratio)});
  }
  return out;
}

report::TextTable importance_table(const std::vector<ImportanceSpread>& steps) {
  report::TextTable table;
  table.head = {"step",
                "t",
                "rows",
                "kl",
                "ratio",
                "linear",
                "ratio_expected",
                "ratio_by_element",
                "linear_by_element"};
  for (const auto& s : steps) {
    table.rows.push_back({cat(s.step), ratio_cell(s.t), cat(s.rows),
                          ratio_cell(s.kl), ratio_cell(s.ratio),
                          ratio_cell(s.linear), ratio_cell(s.ratio_expected),
                          ratio_cell(s.ratio_by_element),
                          ratio_cell(s.linear_by_element)});
  }
  return table;
}

std::string importance_plot(const std::vector<ImportanceSpread>& steps) {
  report::LinePlot plot;
  plot.title = "Variance of the importance factor by time, log10";
  plot.description = plot.title + ": the ratio, and 1 + its logarithm";
  plot.x_label = "t (1 is noise)";
  const auto add = [&](const std::string& name, int color, int dash,
                       double ImportanceSpread::*value) {
    report::PlotSeries series = {.name = name, .color = color, .dash = dash};
    for (const auto& step : steps) {
      series.x.push_back(step.t);
      series.y.push_back(std::log10(step.*value));
    }
    plot.series.push_back(std::move(series));
  };
  add("ratio", 1, 0, &ImportanceSpread::ratio);
  add("ratio, expected", 1, 2, &ImportanceSpread::ratio_expected);
  add("1 + log ratio", 2, 0, &ImportanceSpread::linear);
  add("ratio, by element", 1, 1, &ImportanceSpread::ratio_by_element);
  add("1 + log ratio, by element", 2, 1, &ImportanceSpread::linear_by_element);
  return report::line_plot(plot);
}

}  // namespace rsm
