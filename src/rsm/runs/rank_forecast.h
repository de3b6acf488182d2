#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "rsm/runs/forecast.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** What the numbers of a run on several ranks rest on. */
struct RankSizes {
  double trained_numbers = 0;  ///< of the weights
  double latent_numbers = 0;   ///< of one latent
};

/** An epoch of a run on several ranks, counted. Bytes are those that one rank
 * receives; a sum goes from rank to rank, so that each receives it once, and
 * comes back to all. */
struct RankForecast {
  int64_t ranks = 1;
  int64_t prompts = 0, most_prompts = 0;  ///< of all, of the busiest rank
  /** Calls of an update, the largest one, and of the busiest rank. */
  int64_t tiles = 0, most_tiles = 0;
  int64_t rounds = 0;         ///< in which an update's gradients are added up
  double rollout_bytes = 0;   ///< the states and pictures of others
  double guidance_bytes = 0;  ///< gradients at trajectories, value networks'
  double outputs_bytes = 0;   ///< of frozen copies: y_old, y_ref
  double gradient_bytes = 0;  ///< of all updates
  /** Of what a sole process takes for an epoch, on as many ranks, on a network
   * of kLinkBytes a second; none where nothing was timed. */
  std::optional<double> seconds;     ///< of an epoch
  std::optional<double> efficiency;  ///< seconds alone / (ranks * seconds)

  double bytes() const {
    return rollout_bytes + guidance_bytes + outputs_bytes + gradient_bytes;
  }
};

/** 100 Gb/s. */
inline constexpr double kLinkBytes = 100e9 / 8;

/** `cost` is of one process, where it was timed. Counted in are the stations of
 * rollout, judging, frozen outputs and updates, each as long as its busiest
 * rank; nothing hides behind anything, and messages take their bytes alone.
 * Not counted are scores, some bytes a picture, and evaluations. */
RankForecast rank_forecast(const RunOptions& options, const Forecast& forecast,
                           const RankSizes& sizes, int64_t ranks,
                           const std::optional<EpochCost>& cost);

nlohmann::json to_json(const RankForecast& forecast);

/** The same for people, a few lines. */
std::string to_text(const RankForecast& forecast);

}  // namespace rsm
