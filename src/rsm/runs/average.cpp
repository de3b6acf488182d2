#include "rsm/runs/average.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr double kLeastShare = 0.5;

/** Updates until `epochs` or max_images end the run. */
int64_t planned_updates(const RunOptions& o) {
  double epochs = static_cast<double>(o.epochs);
  if (o.max_images > 0) {
    const auto roots =
        static_cast<double>(o.prompts_per_epoch * o.samples_per_prompt);
    const auto images = roots * static_cast<double>(o.plan().images_per_root());
    epochs =
        std::min(epochs, std::ceil(static_cast<double>(o.max_images) / images));
  }
  constexpr double kMost = 1e15;  // exact in a double
  return static_cast<int64_t>(
      std::min(kMost, epochs * static_cast<double>(o.updates_per_epoch)));
}

}  // namespace

double average_decay(const RunOptions& options, int64_t updates) {
  const auto n = static_cast<double>(updates);
  return options.ema_warmup ? std::min(options.ema_decay, (1 + n) / (10 + n))
                            : options.ema_decay;
}

double learnt_share(const RunOptions& options, int64_t updates) {
  const int64_t every = options.ema_every;
  const int64_t steps = updates / every;
  constexpr double kNothing = 1e-12;
  double before = 1;
  int64_t step = 1;
  // While warm-up holds the decay back, one by one: soon nothing is left.
  for (; step <= steps && before > kNothing; ++step) {
    const double decay = average_decay(options, step * every);
    if (decay == options.ema_decay) break;
    before *= decay;
  }
  const auto rest = static_cast<double>(std::max<int64_t>(0, steps - step + 1));
  return 1 - before * std::pow(options.ema_decay, rest);
}

std::string average_warning(const RunOptions& options) {
  const int64_t updates = planned_updates(options);
  const double share = learnt_share(options, updates);
  if (updates == 0 || share >= kLeastShare) {
    return "";
  }
  const int64_t steps = updates / options.ema_every;
  if (steps == 0) {
    return cat("train.ema_every ", options.ema_every, ": the run has ", updates,
               " updates, so the average, which is evaluated and exported, "
               "stays the model before training; lower it");
  }
  const double follows = std::max(0.0, 1 - 4 / static_cast<double>(steps));
  return cat("train.ema_decay ", options.ema_decay, ": after the run's ",
             updates,
             " updates the average, which is evaluated and exported, holds ",
             std::round(1e4 * share) / 100,
             " % of what was learnt and is the model before training for the "
             "rest; ",
             std::floor(1000 * follows) / 1000, follows > 0 ? " or less" : "",
             " lets it follow, and so does train.ema_warmup");
}

}  // namespace rsm
