#include "rsm/runs/watch.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/data/certainty.h"
#include "rsm/data/watch_ratio.h"
#include "rsm/io/files.h"
#include "rsm/io/write_steps.h"
#include "rsm/plot/format.h"
#include "rsm/runs/checkpoint.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr double kMostKl = 1e30;

double number_at(const json& from, const std::string& place) {
  const json::json_pointer pointer(place);
  if (!from.contains(pointer)) return kMissing;
  const auto& value = from.at(pointer);
  return value.is_number() ? value.get<double>() : kMissing;
}

WatchNumbers numbers_of(const json& evaluation) {
  WatchNumbers out;
  if (!evaluation.contains("watch")) return out;
  for (const auto& [name, value] : evaluation.at("watch").items()) {
    if (value.is_number()) out[name] = value.get<double>();
  }
  return out;
}

/** Whether the trained reward is above that of the first evaluation, and not by
 * chance. */
bool rose(const json& first, const json& now) {
  const double gain = number_at(now, "/reward") - number_at(first, "/reward");
  const MeanError error = {number_at(now, "/change_errors/reward"),
                           number_at(now, "/change_freedom/reward")};
  return gain > (error.is_known() ? error.sure() : 0);
}

/** The `eval` of the first line that has one; null where none has. */
const json* first_evaluation(const std::vector<json>& log) {
  for (const auto& line : log) {
    if (line.contains("eval")) return &line.at("eval");
  }
  return nullptr;
}

bool any_collapsed(const std::vector<WatchedRatio>& ratios) {
  return std::any_of(ratios.begin(), ratios.end(),
                     [](const auto& one) { return one.collapsed; });
}

[[noreturn]] void refuse_best(const std::string& folder,
                              const std::string& why) {
  throw Error(cat("[watch] cannot replace ", folder, ": ", why,
                  "; see that it can be written: the run's next start or "
                  "evaluation puts the best epoch there again"));
}

}  // namespace

WatchOptions read_watch(const Config& evaluation) {
  static const std::vector<std::string> words = {"off", "warn", "stop",
                                                 "rollback"};
  WatchOptions out;
  const auto section = evaluation.section("watch");
  const auto word = section.choice("action", "warn", words);
  out.action = static_cast<WatchOptions::Action>(
      std::find(words.begin(), words.end(), word) - words.begin());
  for (auto& [name, least] : out.least) {
    least = section.real(name, least, 0, 1);
  }
  out.keep_best = section.flag("keep_best", out.keep_best);
  out.best_kl = section.real("best_kl", out.best_kl, 0, kMostKl);
  return out;
}

std::vector<WatchedRatio> watched_ratios(const WatchOptions& options,
                                         const json& first, const json& now) {
  const auto before = numbers_of(first), after = numbers_of(now);
  std::vector<WatchedRatio> out;
  for (const auto& [name, least] : options.least) {
    const double ratio = watch_ratio(name, before, after);
    if (!std::isfinite(ratio)) continue;
    out.push_back({name, ratio, kept_share(name, ratio) < least});
  }
  return out;
}

std::string watch_warning(const WatchOptions& options,
                          const std::vector<json>& log, const json& now,
                          const std::string& run_folder) {
  const auto* first = first_evaluation(log);
  if (!options.is_on() || first == nullptr || !rose(*first, now)) return "";
  std::vector<std::string> lost;
  for (const auto& [name, ratio, collapsed] :
       watched_ratios(options, *first, now)) {
    if (!collapsed) continue;
    lost.push_back(cat(name, " ", report::format_digits(ratio, 2), " times"));
  }
  if (lost.empty()) return "";
  const auto best = options.keep_best ? best_epoch(options, log) : std::nullopt;
  std::string out =
      cat("the reward rose, but what it does not see is no longer what it was "
          "before training: ",
          join(lost, ", "), ". It is likely being hacked: look at ", run_folder,
          "/samples/after.png; a stronger pull to the reference (beta) holds "
          "it back");
  if (best) {
    out += cat(". ", best_folder(run_folder), " keeps the best epoch before, ",
               *best, ", for `rsm export --best`");
  }
  if (options.ends_runs()) {
    const bool back = options.action == WatchOptions::Action::rollback && best;
    out += cat(". The run ends here (evaluation.watch.action), ",
               back ? "and final/ holds that epoch's weights"
                    : "with the weights of this epoch");
  }
  return out;
}

std::optional<int64_t> best_epoch(const WatchOptions& options,
                                  const std::vector<json>& log) {
  const auto* first = first_evaluation(log);
  std::optional<int64_t> best;
  double highest = -std::numeric_limits<double>::infinity();
  for (const auto& line : log) {
    if (!line.contains("eval") || &line.at("eval") == first) continue;
    const auto& eval = line.at("eval");
    const double reward = number_at(eval, "/reward");
    const bool near =
        options.best_kl == 0 || number_at(eval, "/kl") <= options.best_kl;
    if (near && reward > highest &&
        !any_collapsed(watched_ratios(options, *first, eval))) {
      highest = reward;
      best = line.at("epoch").get<int64_t>();
    }
  }
  return best;
}

std::string best_folder(const std::string& run_folder) {
  return run_folder + "/best";
}

std::optional<int64_t> kept_best(const std::string& run_folder) {
  const auto epochs = checkpoint_epochs(best_folder(run_folder));
  return epochs.empty() ? std::nullopt : std::optional(epochs.front());
}

void keep_best(const std::string& run_folder, std::optional<int64_t> epoch,
               int64_t now) {
  const auto to = best_folder(run_folder);
  const auto kept = kept_best(run_folder);
  if (kept == epoch) return;
  const auto known = checkpoint_epochs(run_folder);
  const bool is_there =
      epoch && std::find(known.begin(), known.end(), *epoch) != known.end();
  std::error_code failed;
  // What lay there until now is complete until the new one is.
  const std::string fresh = to + ".new";
  fs::remove_all(fresh, failed);
  if (is_there) link_checkpoint(run_folder, fresh, *epoch);
  if (is_there || (kept && *kept > now)) fs::remove_all(to, failed);
  if (failed) refuse_best(to, failed.message());
  if (is_there && !rename_path(fresh, to)) {
    refuse_best(to, std::strerror(errno));
  }
}

}  // namespace rsm
