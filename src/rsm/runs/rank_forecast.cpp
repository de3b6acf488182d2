#include "rsm/runs/rank_forecast.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/estimators/first_order.h"
#include "rsm/models/ordered_sum.h"
#include "rsm/plot/format.h"
#include "rsm/rollouts/plan.h"

namespace rsm {
namespace {

using report::format_fixed;

constexpr double kNumber = 4;  // bytes of a float32
constexpr double kMiB = 1 << 20;

int64_t share(int64_t count, int64_t ranks) {
  return (count + ranks - 1) / ranks;
}

/** Of the ranks' time, where the busiest one has `most` of `all` things. */
double idle(int64_t all, int64_t most, int64_t ranks) {
  return 1 - static_cast<double>(all) / static_cast<double>(most * ranks);
}

/** What is left of the time of all things where one rank does `most`. */
double part(int64_t all, int64_t most) {
  return static_cast<double>(most) / static_cast<double>(all);
}

std::string mib(double bytes) {
  return format_fixed(bytes / kMiB, bytes < 10 * kMiB ? 2 : 0) + " MiB";
}

std::string seconds_text(double seconds) {
  return format_fixed(seconds, seconds < 0.1 ? 4 : 2) + " s";
}

/** What a rank receives, by the station that needs it, in their order. */
std::vector<std::pair<std::string, double>> collectives(const RankForecast& f) {
  return {{"rollout", f.rollout_bytes},
          {"guidance", f.guidance_bytes},
          {"outputs", f.outputs_bytes},
          {"gradients", f.gradient_bytes}};
}

/** How often a value network's lesson has all outputs of a copy, or gradients,
 * at the trained states gathered (values/{consistency,balance}.cpp). */
int64_t gathers_of_lesson(const ValueKnobs& value) {
  if (value.kind == ValueKnobs::Kind::none) return 0;
  if (value.law == ValueKnobs::Law::consistency) {
    return value.consistency > 0 ? 4 : 0;
  }
  return value.backward > 0 ? 1 : 2;
}

/** Latents, and numbers beside them, that guidance has of all ranks. */
double guidance_numbers(const RunOptions& o, const Forecast& f,
                        const RankSizes& sizes) {
  const auto& estimator = o.method.estimator;
  if (!estimator.is_first_order()) {
    // Of pictures that follow gradients, the policy's output at each.
    return estimator.needs_gradients()
               ? static_cast<double>(f.rows) * sizes.latent_numbers
               : 0;
  }
  const auto plan = plan_of_epoch(o.plan(), 0, o.seed);
  const TrainedStates trained(
      lay_out(plan, Transitions(plan.steps), Prompts(o.prompts_per_epoch),
              o.samples_per_prompt),
      estimator.gradient, o.seed, 0);
  const auto nodes = static_cast<double>(std::ssize(trained.distinct));
  const auto lesson = static_cast<double>(
      gathers_of_lesson(estimator.gradient.value) * std::ssize(trained.states));
  // A gradient comes with the reward there.
  return nodes * (sizes.latent_numbers + 1) + lesson * sizes.latent_numbers;
}

}  // namespace

RankForecast rank_forecast(const RunOptions& o, const Forecast& f,
                           const RankSizes& sizes, int64_t ranks,
                           const std::optional<EpochCost>& cost) {
  RankForecast out;
  out.ranks = ranks;
  out.prompts = o.prompts_per_epoch;
  out.most_prompts = share(out.prompts, ranks);
  out.tiles = std::max<int64_t>(1, o.train_tiles.calls(f.largest_update));
  out.most_tiles = share(out.tiles, ranks);
  if (ranks > 1) {
    const double others = 1 - 1 / static_cast<double>(ranks);
    const double latent = kNumber * sizes.latent_numbers;
    // x and y of states, where rows lead, pictures.
    out.rollout_bytes =
        others * latent * static_cast<double>(2 * f.states + f.rows + f.images);
    out.guidance_bytes = others * kNumber * guidance_numbers(o, f, sizes);
    out.outputs_bytes =
        others * latent *
        static_cast<double>(f.evaluations.old + f.evaluations.reference);
    const double gradient = kNumber * sizes.trained_numbers;
    const int64_t held =
        tiles_in_a_round(out.tiles, ranks, o.train_tiles.workers,
                         static_cast<int64_t>(gradient));
    out.rounds = share(out.tiles, held * ranks);
    out.gradient_bytes =
        static_cast<double>(f.updates * (out.rounds + 1)) * gradient;
  }
  if (cost) {
    const double prompts = part(out.prompts, out.most_prompts);
    const double tiles = part(out.tiles, out.most_tiles);
    out.seconds = prompts * (cost->rollout_seconds + cost->reward_seconds) +
                  tiles * (cost->old_seconds + cost->update_seconds) +
                  out.bytes() / kLinkBytes;
    out.efficiency =
        cost->epoch_seconds() / (static_cast<double>(ranks) * *out.seconds);
  }
  return out;
}

nlohmann::json to_json(const RankForecast& f) {
  const auto number = [](const std::optional<double>& n) {
    return n ? nlohmann::json(*n) : nlohmann::json();
  };
  auto bytes = nlohmann::json::object(), seconds = bytes;
  for (const auto& [name, count] : collectives(f)) {
    bytes[name] = count;
    seconds[name] = count / kLinkBytes;
  }
  return {{"ranks", f.ranks},
          {"prompts", f.prompts},
          {"prompts_of_busiest", f.most_prompts},
          {"prompts_idle", idle(f.prompts, f.most_prompts, f.ranks)},
          {"tiles_an_update", f.tiles},
          {"tiles_of_busiest", f.most_tiles},
          {"tiles_idle", idle(f.tiles, f.most_tiles, f.ranks)},
          {"rounds_an_update", f.rounds},
          {"bytes_received", bytes},
          {"seconds_received", seconds},
          {"link_bytes_a_second", kLinkBytes},
          {"epoch_seconds", number(f.seconds)},
          {"efficiency", number(f.efficiency)}};
}

std::string to_text(const RankForecast& f) {
  const auto line = [&](const char* what, int64_t all, int64_t most) {
    const double left = 100 * idle(all, most, f.ranks);
    return cat("  ", what, ": ", all, " over ", f.ranks, " ranks, at most ",
               most, " each: ",
               left < 0.5
                   ? "all are busy"
                   : cat(format_fixed(left, 0), " % of their time is idle"),
               "\n");
  };
  std::string out = cat("on ", f.ranks, " ranks (the same numbers):\n",
                        line("prompts", f.prompts, f.most_prompts),
                        line("calls of an update", f.tiles, f.most_tiles));
  std::vector<std::string> parts;
  for (const auto& [name, bytes] : collectives(f)) {
    parts.push_back(
        cat(name, " ", mib(bytes), " in ", seconds_text(bytes / kLinkBytes)));
  }
  out +=
      cat("  a rank receives ", mib(f.bytes()), " an epoch, at 100 Gb/s in ",
          seconds_text(f.bytes() / kLinkBytes), ": ", join(parts, ", "), " (",
          f.rounds, f.rounds == 1 ? " round" : " rounds", " an update)\n");
  if (f.seconds) {
    out +=
        cat("  predicted: ", format_fixed(*f.seconds, 2), " s an epoch, ",
            format_fixed(100 * *f.efficiency, 0),
            " % of what as many sole processes would do; with ranks as fast "
            "as this process, messages at 100 Gb/s that hide behind nothing, "
            "and without what every rank does itself\n");
  }
  return out;
}

}  // namespace rsm
