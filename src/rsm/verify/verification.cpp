#include "rsm/verify/verification.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/check_method.h"
#include "rsm/methods/names.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/verify/at_alpha.h"

namespace rsm::verify {
namespace {

using Return = EstimatorKnobs::Return;

constexpr double kExactGap = 0.1, kFailedGap = 0.7;

/** An even grid: the worlds' densities are as wide as the noise. */
std::shared_ptr<const Path> path_of(Family family) {
  if (family == Family::diffusion) return std::make_shared<DdimPath>();
  return std::make_shared<FlowPath>(FlowMatchSchedule{.shift = 1});
}

/** Entries with each of some returns, the names telling which. */
std::vector<Method> methods_with(const std::vector<std::string>& names,
                                 const std::vector<Return>& returns,
                                 double alpha) {
  std::vector<Method> entries, out;
  for (const auto& name : names) entries.push_back(find_method(name));
  if (names.empty()) entries = catalogue();
  for (const auto& entry : entries) {
    for (const auto kind : returns) {
      auto method = entry;
      method.estimator.returns = kind;
      if (kind == Return::hard) {
        out.push_back(method);
        continue;
      }
      method.name += cat(" ", rsm::to_string(kind));
      const auto family = entry.family.value_or(Family::flow);
      try {
        const auto tempered = at_alpha(for_family(method, family), alpha,
                                       *path_of(family), /*dimensions=*/2);
        check_method(tempered.method, steps_of(tempered.method));
      } catch (const UsageError&) {
        if (!names.empty()) throw;
        continue;
      }
      out.push_back(method);
    }
  }
  return out;
}

std::vector<Judge> judges_of(Family family, double alpha,
                             const Budget& budget) {
  auto all = problems(alpha);
  std::vector<std::optional<Judge>> made(all.size());
  run_jobs(std::ssize(all), budget.threads, [&](int64_t i) {
    made[i].emplace(std::move(all[i]), path_of(family), budget.points,
                    budget.seed);
  });
  std::vector<Judge> out;
  for (auto& judge : made) out.push_back(std::move(*judge));
  return out;
}

/** One method on one problem. */
struct Trial {
  int64_t method;  ///< which
  int64_t result;  ///< of the method's
  Tempered tempered;
  const Judge* judge;
};

/** The methods, results still empty, and what is to be tried of them. */
struct Plan {
  std::vector<Verification> methods;
  std::vector<Trial> trials;
};

void add(const Method& entry, double alpha, Report& report, Plan& plan) {
  const auto family = entry.family.value_or(Family::flow);
  const auto word = rsm::to_string(family);
  auto& judges = report.judges[word];
  if (judges.empty()) judges = judges_of(family, alpha, report.budget);
  const auto method = for_family(entry, family);
  Verification out{.method = entry.name, .family = word};
  for (const auto& judge : judges) {
    const auto& problem = judge.problem();
    if (method.estimator.needs_gradients() &&
        !problem.reward.is_differentiable()) {
      continue;
    }
    auto tempered =
        at_alpha(method, alpha, *judge.path(), problem.reference.dimensions());
    out.is_given_pull = tempered.is_given_pull;
    out.known_biases = known_biases(tempered, family);
    plan.trials.push_back({std::ssize(plan.methods), std::ssize(out.results),
                           std::move(tempered), &judge});
    out.results.push_back({.problem = problem.name});
  }
  plan.methods.push_back(std::move(out));
}

/** Gathers results, which come in any order and from several threads. */
class Gathering {
 public:
  Gathering(Report& report, std::vector<Verification> methods,
            const AfterEach& after_each, Progress& progress)
      : report_(report),
        methods_(std::move(methods)),
        after_each_(after_each),
        progress_(progress) {
    for (const auto& method : methods_) left_.push_back(method.results.size());
  }

  void take(const Trial& trial, Result result) {
    const std::lock_guard lock(mutex_);
    auto& method = methods_[trial.method];
    method.results[trial.result] = std::move(result);
    if (--left_[trial.method] > 0) return;
    method.verdict = verdict_of(method.results);
    report_.methods.clear();
    for (size_t i = 0; i < methods_.size(); ++i) {
      if (left_[i] == 0) report_.methods.push_back(methods_[i]);
    }
    report_.seconds = clock_.seconds();
    if (after_each_) after_each_(report_, method);
    progress_.update(std::ssize(report_.methods), method.method);
  }

 private:
  const Clock clock_;
  std::mutex mutex_;
  Report& report_;
  std::vector<Verification> methods_;
  std::vector<size_t> left_;  ///< results that a method waits for
  const AfterEach& after_each_;
  Progress& progress_;
};

}  // namespace

Verification::Verdict verdict_of(const std::vector<Result>& results) {
  using Verdict = Verification::Verdict;
  auto out = Verdict::exact;
  for (const auto& result : results) {
    if (!result.failure.empty() || result.gap > kFailedGap) {
      return Verdict::failed;
    }
    if (!result.at_floor && result.gap > kExactGap) out = Verdict::biased;
  }
  return results.empty() ? Verdict::failed : out;
}

std::string to_string(Verification::Verdict verdict) {
  switch (verdict) {
    case Verification::Verdict::exact:
      return "exact";
    case Verification::Verdict::biased:
      return "biased";
    case Verification::Verdict::failed:
      return "failed";
  }
  throw Error("[verify] a verdict outside its enum");
}

Report verify(const std::vector<std::string>& names, double alpha,
              const Budget& budget, Progress& progress,
              const std::vector<Return>& returns, const AfterEach& after_each) {
  const auto methods = methods_with(names, returns, alpha);
  Report out{.alpha = alpha, .budget = budget};
  progress.begin("verify", std::ssize(methods));
  Plan plan;
  for (const auto& entry : methods) add(entry, alpha, out, plan);
  Gathering gathering(out, std::move(plan.methods), after_each, progress);
  run_jobs(std::ssize(plan.trials), budget.threads, [&](int64_t i) {
    const auto& trial = plan.trials[i];
    progress.stop_point();
    gathering.take(trial,
                   result_of(trial.tempered, *trial.judge, budget, progress));
  });
  progress.end();
  return out;
}

}  // namespace rsm::verify
