#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/base/reward.h"

/** What judges outside this program answer: the same for programs and servers,
 * see docs/rewards.md. Errors begin with "[who]". */
namespace rsm {

/** What errors of judges end with. */
inline constexpr const char* kMendReward =
    "mend the reward and run the same command again";

/** Some of the pictures that a call of Reward::score has got. */
struct PictureRange {
  int64_t first = 0;
  int64_t count = 0;

  std::string text() const;  ///< "images 64 to 127"
};

/** `count` pictures in ranges of at most `batch` (1 or more), in order. */
std::vector<PictureRange> picture_ranges(int64_t count, int64_t batch);

/** Whole groups in ranges of at most `batch` pictures, in order; a group of
 * more is a range of its own. `group` as Reward::score_groups has it. */
std::vector<PictureRange> group_ranges(const std::vector<int64_t>& group,
                                       int64_t batch);

/** The beginning of what a judge wrote, fit to stand in an error (printable,
 * io/printable.h). */
std::string quoted(const std::string& text);

/** JSON as a judge wrote it. NaN, Infinity and -Infinity, which Python writes
 * though JSON has none, become the strings of these names. Throws rsm::Error,
 * quoting the beginning, where parse_json (io/json_text.h) refuses it. */
nlohmann::json parse_answer(const std::string& who, const std::string& text);

/** What a judge says went wrong, null where it says nothing: "error" of its
 * answer. */
nlohmann::json error_in(const nlohmann::json& answer);

/** The scores of {"scores": [...], "metrics": {"name": [...]}} for a range of a
 * call's prompts; "metrics" may be missing or null. Throws rsm::Error for
 * {"error": "text"}, for other counts than range.count, and for anything but
 * finite float32 numbers, naming the first image of the call where one stands
 * and its prompt. */
RewardScores read_scores(const std::string& who, const nlohmann::json& answer,
                         const PictureRange& range, const Prompts& prompts);

/** Counts what was mended elsewhere, too. */
void add_mended(RewardScores& to, const std::map<std::string, int64_t>& more);

/** Scores of consecutive ranges as one, with their parts and what was mended.
 * Throws rsm::Error where their metrics are not the same. No ranges give value
 * [0]. */
RewardScores join_scores(const std::string& who,
                         const std::vector<RewardScores>& ranges);

/** Scores with their pictures in another order: the i-th of `scores` is that of
 * picture place[i]; `place` is a permutation. */
RewardScores put_in_order(RewardScores scores,
                          const std::vector<int64_t>& place);

}  // namespace rsm
