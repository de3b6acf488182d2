#include "rsm/methods/describe.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"
#include "rsm/methods/by_time.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/knobs.h"
#include "rsm/methods/method_config.h"
#include "rsm/methods/names.h"
#include "rsm/objective/strength.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/rollouts/plan.h"

namespace rsm {
namespace {

using nlohmann::json;
using Source = EstimatorKnobs::Source;

constexpr int64_t kSteps = kCatalogueSteps;

/** "0.074" without the leading zero. */
std::string share(double value) {
  char text[16];
  std::snprintf(text, sizeof(text), "%.3f", value);
  return text[0] == '0' ? text + 1 : text;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

std::string gradient_cell(const GradientKnobs& knobs) {
  using At = GradientKnobs::At;
  std::string out =
      cat(knobs.stochastic ? "" : " (ODE)", ", ", to_string(knobs.at));
  if (knobs.at == At::network || knobs.at == At::adjoint) {
    out += cat(" of the ", to_string(knobs.through));
  }
  if (knobs.lookahead > 0) out += cat(", ", knobs.lookahead, " ahead");
  if (knobs.random_late_steps) {
    out += ", random last steps";
  } else if (knobs.late_steps > 0) {
    out += cat(", last ", knobs.late_steps);
  }
  if (knobs.early_times > 0) {
    out += cat(", ", knobs.early_times, " early + ",
               knobs.times - knobs.early_times, knobs.last_time ? " + 1" : "",
               " times");
  } else if (knobs.times > 0) {
    out += cat(", ", knobs.times, knobs.last_time ? " + 1" : "", " times");
  }
  if (knobs.value.kind != ValueKnobs::Kind::none) {
    out += cat(", value network (", to_string(knobs.value.kind), ")");
  }
  return out;
}

std::string pictures_cell(const PictureKnobs& knobs) {
  std::string out = cat(", ", knobs.draws, " x ", to_string(knobs.times),
                        knobs.shared ? ", shared" : "",
                        knobs.distinct ? ", distinct" : "", ", ");
  if (knobs.follows_gradients()) {
    return cat(out, "gradient of the ", to_string(knobs.guidance));
  }
  out += to_string(knobs.coefficient);
  if (knobs.weight != PictureKnobs::Weight::advantage) {
    out += cat(" of ", to_string(knobs.weight));
  }
  out += cat(", ", to_string(knobs.distance));
  if (knobs.clip > 0) out += cat(", clip ", number(knobs.clip));
  if (knobs.old.is_kept()) {
    out += cat(", old", knobs.sampled == PictureKnobs::Sampled::old
                            ? " (samples too)"
                            : "");
  }
  return out;
}

std::string window_cell(const WindowKnobs& knobs) {
  return cat(", window of ", knobs.size,
             knobs.start > 0 ? cat(" from ", knobs.start) : "", ", ",
             to_string(knobs.move),
             knobs.continuation < 1
                 ? cat(", then ", number(knobs.continuation), " of the steps")
                 : "");
}

std::string forward_cell(const ForwardKnobs& knobs) {
  return cat(" + forward", pictures_cell(knobs.pictures), ", ",
             to_string(knobs.shape),
             knobs.weight == 1 ? "" : " x " + number(knobs.weight));
}

std::string estimator_cell(const EstimatorKnobs& knobs) {
  std::string out = to_string(knobs.source);
  if (knobs.is_first_order()) return out + gradient_cell(knobs.gradient);
  if (!knobs.profile.empty()) out += " `" + knobs.profile + "`";
  if (knobs.noise != SamplerNoise::usual) {
    out += ", " + to_string(knobs.noise) + " noise";
  }
  if (knobs.shared_start) out += ", one start";
  if (knobs.window.is_on()) out += window_cell(knobs.window);
  if (knobs.forward.is_on()) out += forward_cell(knobs.forward);
  if (knobs.has_flow()) out += ", flow " + to_string(knobs.flow.use);
  if (knobs.is_of_pictures()) out += pictures_cell(knobs.pictures);
  if (knobs.needs_gradients()) return out;
  if (knobs.flow.use == FlowKnobs::Use::balance) return out;
  if (knobs.has_surrogate()) {
    out += ", surrogate at " + to_string(knobs.surrogate.at);
  }
  out += "; " + to_string(knobs.grouping);
  if (knobs.baseline != EstimatorKnobs::Baseline::mean) {
    out += ", " + to_string(knobs.baseline);
  }
  out += ", spread " + to_string(knobs.spread);
  if (knobs.diversity != EstimatorKnobs::Diversity::none) {
    out += ", diversity in " + to_string(knobs.diversity);
  }
  return out;
}

std::string strength_cell(const StrengthKnobs& knobs) {
  return cat(to_string(knobs.shape),
             knobs.scale == 1 ? "" : " x " + number(knobs.scale),
             knobs.scaled_residual ? ", scaled residual" : "");
}

std::string regularisation_cell(const RegularisationKnobs& knobs) {
  std::string out = to_string(knobs.importance);
  if (knobs.importance != RegularisationKnobs::Importance::none) {
    out += " in " + to_string(knobs.clip_in) + ", " + number(knobs.clip_range);
  }
  if (knobs.old > 0) out += cat("; old ", number(knobs.old));
  if (knobs.beta == 0) return out;
  out += "; beta " + number(knobs.beta) + " " + to_string(knobs.kl_form);
  if (knobs.guides_reference()) {
    out += ", guided by " + number(knobs.reference_guidance);
  }
  if (knobs.least_pull < 1) {
    out += ", from " + number(knobs.least_pull) + " of it";
  }
  if (knobs.gate.is_on()) {
    out += " at the most suspicious " + number(knobs.gate.share);
  }
  if (knobs.reset.is_on()) out += ", reference reset";
  if (knobs.anchors) out += knobs.pull_rows ? ", anchors" : ", anchors only";
  return out;
}

std::string knobs_table() {
  std::string out = "| key | words, range | meaning |\n|---|---|---|\n";
  for (const auto& knob : list_knobs()) {
    const auto allowed = knob.words.empty()
                             ? knob.range.text()
                             : "`" + join(knob.words, "`, `") + "`";
    out += cat("| `", knob.key, "` | ", knob.is_list ? "a list, each " : "",
               allowed, " | ", knob.meaning, " |\n");
  }
  return out;
}

std::string entries_table() {
  std::string out =
      "| entry | models | estimator | strength | regularisation | source |\n"
      "|---|---|---|---|---|---|\n";
  for (const auto& m : catalogue()) {
    out += cat("| `", m.name, "` | ", to_string(m.family), " | ",
               estimator_cell(m.estimator), " | ", strength_cell(m.strength),
               " | ", regularisation_cell(m.regularisation), " | ", m.source,
               " |\n");
  }
  return out;
}

std::string strength_table() {
  std::string out = "| entry |";
  std::string line = "|---|";
  for (int64_t i = 0; i < kSteps; ++i) {
    out += cat(" ", i, " |");
    line += "---|";
  }
  out += "\n" + line + "\n";
  for (const auto& m : catalogue()) {
    const auto h = shown_h(m);
    out += "| `" + m.name + "` |";
    for (int64_t i = 0; i < kSteps; ++i) out += " " + share(h[i]) + " |";
    out += "\n";
  }
  return out;
}

}  // namespace

Transitions shown_steps(const Method& method) {
  const bool diffusion = method.family == Family::diffusion;
  const auto path = Path::from_json(diffusion ? DdimSchedule{}.to_json()
                                              : FlowMatchSchedule{}.to_json());
  const auto kind = method.estimator.noise;
  const StepNoise noise = {.kind = kind,
                           .level = usual_level(kind, path->family())};
  return make_plan(with_draws(method, kSteps), kSteps, noise)
      .transitions(*path);
}

std::vector<double> shown_h(const Method& method) {
  return normalised_h(with_draws(method, kSteps), shown_steps(method));
}

json described(const Method& method) {
  const auto transitions = shown_steps(method);
  const auto h = shown_h(method);
  json out = to_json(method);
  out["notes"] = json::array();
  for (const auto family : {Family::flow, Family::diffusion}) {
    const std::string note = replaced_sampler(method, family);
    if (!method.family && !note.empty()) {
      out["notes"].push_back(note);
    }
  }
  for (const auto& at :
       factors_by_time(with_draws(method, kSteps), transitions)) {
    out["by_time"].push_back({{"step", at.step},
                              {"t", at.t},
                              {"K", at.rows},
                              {"g", at.g},
                              {"h", h[at.step]},
                              {"C1", finite_or_null(at.c1)},
                              {"gamma", finite_or_null(at.gamma)},
                              {"C2", finite_or_null(at.c2)},
                              {"clip_log_ratio", finite_or_null(at.clip)}});
  }
  return out;
}

std::string sparkline(const std::vector<double>& values) {
  static const char* kBars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double top = 0;
  for (const double v : values) top = std::max(top, v);
  std::string out;
  for (const double v : values) {
    out +=
        kBars[top > 0 && v > 0 ? 1 + static_cast<int>(v / top * 7 + 0.5) : 0];
  }
  return out;
}

std::vector<std::string> docs_tables() {
  const auto marked = [](const std::string& name, const std::string& text) {
    return cat("<!-- ", name, ": begin -->\n", text, "<!-- ", name,
               ": end -->\n");
  };
  return {
      marked("KNOBS", knobs_table()),
      marked("CATALOGUE",
             entries_table() +
                 "\nh(t), normalised to sum 1, of ten steps (step 0 is the "
                 "noisiest; a gradient or a pair alone trains the last):\n\n" +
                 strength_table())};
}

}  // namespace rsm
