#include "rsm/runs/forecast.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/estimators.h"
#include "rsm/estimators/first_order.h"
#include "rsm/estimators/surrogate.h"
#include "rsm/rollouts/plan.h"
#include "rsm/rollouts/running_cost.h"
#include "rsm/runs/evaluation.h"
#include "rsm/runs/watched_states.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;

int64_t categories_of(const Prompts& prompts) {
  std::set<std::string> names;
  for (const auto& prompt : prompts) {
    names.insert(prompt.category);
  }
  return static_cast<int64_t>(names.size());
}

/** Collects advice; `says` is added where `wrong`. */
class Adviser {
 public:
  template <typename... Parts>
  void if_so(bool wrong, const std::string& key, const Parts&... parts) {
    if (wrong) {
      advice_.push_back({key, cat(parts...)});
    }
  }
  std::vector<Advice> take() { return std::move(advice_); }

 private:
  std::vector<Advice> advice_;
};

void advise_on_prompts(Adviser& adviser, const RunOptions& o,
                       const Prompts& train, const Prompts& held_out) {
  const auto available = static_cast<int64_t>(train.size());
  adviser.if_so(o.prompts_per_epoch > available, "prompts.per_epoch",
                o.prompts_per_epoch, " prompts an epoch out of ", available,
                ": some come again within an epoch, with other noise; ",
                available, " or fewer come once");
  const int64_t categories = categories_of(train);
  adviser.if_so(o.prompts_per_epoch >= categories &&
                    o.prompts_per_epoch % categories != 0,
                "prompts.per_epoch", o.prompts_per_epoch, " prompts over ",
                categories, " categories: some get one more in an epoch; ",
                o.prompts_per_epoch / categories * categories, " or ",
                (o.prompts_per_epoch / categories + 1) * categories,
                " divide evenly");
  const int64_t judged = categories_of(held_out);
  adviser.if_so(o.eval_images % judged != 0, "evaluation.images", o.eval_images,
                " pictures over ", judged,
                " categories: the first ones weigh more in the mean; ",
                (o.eval_images / judged + 1) * judged, " divide evenly");
}

void advise_on_sampling(Adviser& adviser, const RunOptions& o) {
  const auto plan = o.plan();
  adviser.if_so(
      o.continuation_steps > 0 && plan.estimator.source != Source::branches,
      "sampling.continuation_steps",
      "only branches are continued, and this method has none; leave it out");
  adviser.if_so(
      o.sharing != Sharing::all && plan.estimator.source == Source::rollout,
      "sampling.share",
      "a stochastic path has one row a state: there is nothing to "
      "share; leave it out");
  adviser.if_so(
      plan.estimator.source == Source::branches &&
          o.continuation_steps >= o.steps - 1,
      "sampling.continuation_steps", o.continuation_steps, " of ", o.steps,
      " steps: no branch has more steps left, so nothing gets cheaper; try 4");
}

/** Epochs until `epochs` or max_images end the run. */
double epochs_counted(const RunOptions& o, const Forecast& f) {
  const auto epochs = static_cast<double>(o.epochs);
  return o.max_images > 0
             ? std::min(epochs, std::ceil(static_cast<double>(o.max_images) /
                                          static_cast<double>(f.images)))
             : epochs;
}

/** Updates that the average reaches back; 1 / (1 - 0.9) is 10. */
double horizon_of(const RunOptions& o) {
  constexpr double kRounding = 1e-9;
  return o.ema_decay < 1 ? static_cast<double>(o.ema_every) /
                               (1 - o.ema_decay) * (1 - kRounding)
                         : INFINITY;
}

void advise_on_average(Adviser& adviser, const RunOptions& o, const Forecast& f,
                       double epochs) {
  const double updates = std::round(epochs * static_cast<double>(f.updates));
  adviser.if_so(updates > 0 && horizon_of(o) > updates, "train.ema_decay",
                "the average reaches back ", horizon_of(o),
                " updates, the run has ", updates,
                ": what is evaluated and exported lags behind; ", o.ema_decay,
                " -> ", std::max(0.0, 1 - 4 / updates));
}

void advise_on_training(Adviser& adviser, const RunOptions& o,
                        const Forecast& f) {
  adviser.if_so(o.updates_per_epoch > f.states, "train.updates_per_epoch",
                o.updates_per_epoch, " updates of ", f.states,
                " states: some have none; at most ", f.states);
  adviser.if_so(
      o.updates_per_epoch <= f.states && f.states % o.updates_per_epoch != 0,
      "train.updates_per_epoch", f.states, " states over ", o.updates_per_epoch,
      " updates: of ", f.smallest_update, " and ", f.largest_update,
      " states, which weigh the same; ",
      "more prompts or another number of updates would even them out");
  advise_on_average(adviser, o, f, epochs_counted(o, f));
  adviser.if_so(o.method.regularisation.beta == 0, "method.regularisation.beta",
                "nothing holds the model to where it began; watch drift and "
                "texture, or set beta above 0");
  adviser.if_so(o.eval_every > o.epochs && o.epochs > 0, "evaluation.every",
                o.eval_every, " epochs of ", o.epochs,
                ": evaluated only before and after");
}

void advise_on_compute(Adviser& adviser, const RunOptions& o,
                       const Forecast& f) {
  const auto& tiles = o.train_tiles;
  const int64_t cores = std::thread::hardware_concurrency();
  adviser.if_so(o.device.is_cpu() && tiles.workers > cores, "compute.threads",
                tiles.workers, " threads on ", cores, " cores take turns; set ",
                cores);
  const int64_t calls = tiles.calls(f.smallest_update);
  adviser.if_so(calls < tiles.workers, "compute.train_tile", "an update of ",
                f.smallest_update, " states is ", calls, " tile",
                calls == 1 ? "" : "s", " for ", tiles.workers,
                " threads: some idle; a tile of ",
                std::max<int64_t>(1, f.smallest_update / tiles.workers),
                " or more states an update keep them busy");
}

/** Of the network: the first picture of every prompt is sampled once more and
 * compared with the reference on its way. */
int64_t evaluations_of_drift(const RunOptions& o) {
  const auto set =
      make_evaluation_set(load_prompts(o.eval_prompts), o.eval_images, o.seed);
  const auto firsts = std::count(set.members.begin(), set.members.end(), 0);
  const int64_t all = o.eval_steps - 1;
  const int64_t compared =
      o.eval_drift_steps > 0 ? std::min(o.eval_drift_steps, all) : all;
  return firsts * (o.eval_steps + compared);
}

/** Of the policy before the updates and of its slower copy. */
int64_t old_evaluations(const RunOptions& o, const RolloutIndex& index,
                        const std::vector<int64_t>& trained) {
  const auto& estimator = o.method.estimator;
  if (o.policy().rollout_is_training() && estimator.gradient.replay == 0 &&
      estimator.gradient.prompt_dropout == 0 && !estimator.noises_pictures()) {
    return 0;
  }
  const int64_t copies =
      estimator.pictures.old.is_kept() && estimator.pictures.compares_outputs()
          ? 2
          : 1;
  return copies * std::ssize(old_states(o.method, o.updates_per_epoch, index,
                                        trained, o.seed));
}

/** Evaluations of an epoch's rollout, of all epochs on average: a window of
 * steps that moves changes them. */
double mean_rollout(const RunOptions& o) {
  constexpr int64_t kEnough = 10000;
  const int64_t epochs = o.method.estimator.window.is_on()
                             ? std::clamp<int64_t>(o.epochs, 1, kEnough)
                             : 1;
  const auto plan = o.plan();
  double sum = 0;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    sum += static_cast<double>(
        plan_of_epoch(plan, epoch, o.seed)
            .evaluations(o.prompts_per_epoch, o.samples_per_prompt));
  }
  return sum / static_cast<double>(epochs);
}

/** How many of the states that are wanted are known, both rising. */
int64_t kept_of(const std::vector<int64_t>& wanted,
                const std::vector<int64_t>& known) {
  std::vector<int64_t> both;
  std::set_intersection(wanted.begin(), wanted.end(), known.begin(),
                        known.end(), std::back_inserter(both));
  return std::ssize(both);
}

}  // namespace

Forecast forecast(const RunOptions& o) {
  const auto plan = plan_of_epoch(o.plan(), 0, o.seed);
  // Which prompts they are changes none of the sizes.
  const auto index =
      lay_out(plan, Transitions(plan.steps), Prompts(o.prompts_per_epoch),
              o.samples_per_prompt);
  const auto groups =
      row_groups(without_forward_rows(index), o.method.estimator);
  const auto& update = o.method.regularisation;
  auto trained = trained_states(index, update.anchor_share, o.seed);
  Forecast f;
  const auto& gradient = o.method.estimator.gradient;
  if (o.method.estimator.is_first_order()) {
    const TrainedStates first(index, gradient, o.seed, 0);
    trained = first.states;
    f.evaluations.guidance = passes_for(first.distinct, first.nodes, gradient,
                                        o.method.estimator.is_soft()) +
                             std::ssize(trained) * gradient.value.evaluations();
  } else if (o.method.estimator.has_flow() ||
             o.method.estimator.needs_gradients()) {
    f.evaluations.guidance = index.states();  // a picture each
  } else {
    f.evaluations.guidance = passes_for(index, o.method.estimator.surrogate);
  }
  f.roots = o.prompts_per_epoch * o.samples_per_prompt;
  f.images = index.images();
  f.rows = index.rows();
  f.states = std::ssize(trained);
  f.groups = o.method.estimator.is_first_order()
                 ? 1
                 : std::ssize(std::set<int64_t>(groups.begin(), groups.end()));
  f.smallest_update = f.states / o.updates_per_epoch;
  f.largest_update = (f.states + o.updates_per_epoch - 1) / o.updates_per_epoch;
  f.updates = std::min(o.updates_per_epoch, f.states);
  f.evaluations.rollout =
      plan.evaluations(o.prompts_per_epoch, o.samples_per_prompt);
  f.mean_rollout = mean_rollout(o);
  f.evaluations.old = old_evaluations(o, index, trained);
  const auto wanted = reference_states(o.method, index, trained, o.seed);
  f.kept_references = kept_of(wanted, paying_states(plan, index));
  f.cost_evaluations =
      f.roots * cost_evaluations_per_root(plan) - f.kept_references;
  f.evaluations.reference =
      std::ssize(wanted) + f.cost_evaluations +
      (update.has_own_reference() ? f.states : 0) +
      (o.method.strength.scaled_residual ? f.evaluations.rollout : 0);
  f.evaluations.update = f.states;
  const auto& forward = o.method.estimator.forward;
  f.update_is_exact = (!forward.is_on() || forward.beta > 0) &&
                      update.beta > 0 && update.pull_rows &&
                      update.mask != RegularisationKnobs::Mask::rows &&
                      !update.gate.is_on() && !gradient.positive_only &&
                      !gradient.random_late_steps;
  f.evaluation_images = o.eval_images;
  f.evaluation_evaluations =
      o.eval_images * o.eval_steps + evaluations_of_drift(o);
  return f;
}

double expected_epochs(const RunOptions& o, const Forecast& f,
                       const EpochCost& cost) {
  const double counted = epochs_counted(o, f);
  return o.max_minutes > 0
             ? std::min(counted, 60 * o.max_minutes / cost.epoch_seconds())
             : counted;
}

std::vector<Advice> advise_on_time(const RunOptions& o, const Forecast& f,
                                   const EpochCost& cost) {
  const double counted = epochs_counted(o, f);
  const double epochs = expected_epochs(o, f, cost);
  if (epochs >= counted) return {};
  Adviser adviser;
  const auto fit = static_cast<int64_t>(epochs);
  const double share = epochs / static_cast<double>(o.epochs);
  adviser.if_so(o.lr_decay, "train.epochs",
                "max_minutes ends the run after about epoch ", fit, " of ",
                o.epochs, ", with lr at ",
                static_cast<int64_t>(100 * (1 - share)),
                " % of its first value instead of 0; ", fit, " epochs fit");
  if (horizon_of(o) <= counted * static_cast<double>(f.updates)) {
    advise_on_average(adviser, o, f, epochs);
  }
  return adviser.take();
}

std::vector<Advice> advise(const RunOptions& options, const Forecast& forecast,
                           const Prompts& train, const Prompts& held_out) {
  Adviser adviser;
  advise_on_prompts(adviser, options, train, held_out);
  advise_on_sampling(adviser, options);
  advise_on_training(adviser, options, forecast);
  advise_on_compute(adviser, options, forecast);
  return adviser.take();
}

}  // namespace rsm
