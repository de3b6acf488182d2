#include "rsm/analysis/toy_estimators.h"

#include <limits>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/plot/format.h"
#include "rsm/rollouts/running_cost.h"
#include "rsm/worlds/three_modes.h"

namespace rsm {
namespace {

using Grid = std::vector<int64_t>;
using Knobs = EstimatorKnobs;

constexpr int64_t kFirstIndex = kToyStride - 1;  ///< its step ends clean
/** From here on the four splits of a tree are at different steps. */
constexpr int64_t kLeastTimestep = kFirstIndex + 7 * kToyStride;

/** Paths while they are above a timestep, then to the picture predicted there.
 */
Grid grid_until(int64_t timestep, int64_t above) {
  Grid grid;
  int64_t i = timestep;
  for (; i > above && i >= kFirstIndex; i -= kToyStride) {
    grid.push_back(i + 1);
  }
  if (i >= kFirstIndex) grid.push_back(i + 1);
  grid.push_back(0);
  return grid;
}

/** Nothing divides, clips or weighs by time: what the loss says is the
 * estimate. */
Method plain_method() {
  Method method;
  method.name = "toy";
  auto& estimator = method.estimator;
  estimator.source = Knobs::Source::rollout;
  estimator.grouping = Knobs::Grouping::prompt;
  estimator.baseline = Knobs::Baseline::mean;
  estimator.spread = Knobs::Spread::none;
  method.strength.shape = StrengthKnobs::Shape::flat;
  auto& update = method.regularisation;
  update.importance = RegularisationKnobs::Importance::none;
  update.mask = RegularisationKnobs::Mask::none;
  update.advantage_clip = std::numeric_limits<double>::infinity();
  return method;
}

/** Rewards times noise. */
ToyEstimator zeroth(const std::string& name, Grid grid) {
  ToyEstimator out;
  out.name = name;
  out.method = plain_method();
  out.grid = std::move(grid);
  out.carried = true;
  return out;
}

ToyEstimator ppo(Grid grid) {
  auto out = zeroth("PPO", std::move(grid));
  out.method.estimator.compare_nothing();
  return out;
}

ToyEstimator zeroth_lookahead(double rho, Grid grid) {
  auto out = zeroth("LA0", std::move(grid));
  out.lookahead = rho;
  return out;
}

ToyEstimator mixed(int64_t sde_steps, Grid grid) {
  auto out = zeroth("MIX", std::move(grid));
  out.split = sde_steps;
  auto& estimator = out.method.estimator;
  estimator.source = Knobs::Source::tree;
  for (int64_t step = 0; step < sde_steps; ++step) {
    estimator.tree.sde_steps.push_back(step);
  }
  return out;
}

/** Splits j = 0, 1, ... act at the first timestep at or below
 * t - j floor(t / n). */
ToyEstimator tree(int64_t splits, int64_t children, int64_t timestep,
                  Grid grid) {
  auto out = zeroth("BRANCH", std::move(grid));
  out.split = splits;
  out.branch = children;
  if (children == 1) return out;
  auto& estimator = out.method.estimator;
  estimator.source = Knobs::Source::tree;
  estimator.tree.children = children;
  for (int64_t j = 0; j < splits; ++j) {
    const int64_t below = j * (timestep / splits);
    estimator.tree.split_steps.push_back((below + kToyStride - 1) / kToyStride);
  }
  return out;
}

/** The reward's gradient: of one state alone, the first of its path. */
ToyEstimator first(const std::string& name, GradientKnobs::At at, Grid grid) {
  ToyEstimator out;
  out.name = name;
  out.method = plain_method();
  out.grid = std::move(grid);
  out.random = false;
  auto& estimator = out.method.estimator;
  estimator.source = Knobs::Source::trajectory;
  estimator.gradient.at = at;
  estimator.gradient.through = GradientKnobs::Through::policy;
  estimator.gradient.times = 1;
  estimator.gradient.early_times = 1;
  estimator.gradient.early_share = 0;
  return out;
}

ToyEstimator first_lookahead(double rho, bool where_it_leads, Grid grid) {
  auto out = first(where_it_leads ? "FOprev" : "FO", GradientKnobs::At::adjoint,
                   std::move(grid));
  out.lookahead = rho;
  out.random = true;
  out.carried = where_it_leads;
  out.method.estimator.gradient.stochastic = true;
  out.method.estimator.gradient.lookahead = where_it_leads ? 1 : 0;
  return out;
}

/** Of temperature 1 at every step. */
ToyEstimator with_return(ToyEstimator out, const std::string& name,
                         Knobs::Return returns, ToyPolicy only) {
  out.name = name;
  out.only = only;
  out.method.estimator.returns = returns;
  out.method.strength.shape = StrengthKnobs::Shape::constant;
  out.method.regularisation.beta = 1;
  return out;
}

/** The whole path's, in the state itself. */
ToyEstimator first_soft(Grid grid) {
  auto out = first("FOSOFT", GradientKnobs::At::adjoint, std::move(grid));
  out.random = true;
  out.method.estimator.gradient.stochastic = true;
  return with_return(out, out.name, Knobs::Return::soft, ToyPolicy::tilted);
}

void check(int64_t timestep, const std::vector<double>& lookaheads) {
  const auto last = std::ssize(ThreeModes::alpha_bars()) - 1;
  if (timestep < kLeastTimestep || timestep > last ||
      timestep % kToyStride != kFirstIndex) {
    throw UsageError(cat("[estimators] timestep ", timestep,
                         "; allowed: ", kLeastTimestep, ", ",
                         kLeastTimestep + kToyStride, ", ... ", last));
  }
  for (const double rho : lookaheads) {
    if (rho >= 0 && rho < 1) continue;
    throw UsageError(cat("[estimators] lookahead ", rho,
                         "; allowed: from 0, whole paths, to below 1"));
  }
}

}  // namespace

std::vector<double> toy_alpha_bars() {
  auto out = ThreeModes::alpha_bars();
  out.insert(out.begin(), 1);
  return out;
}

std::shared_ptr<const Path> ToyEstimator::path() const {
  return std::make_shared<DdimPath>(toy_alpha_bars(), grid);
}

RolloutPlan ToyEstimator::plan() const {
  return make_plan(method, std::ssize(grid) - 1,
                   {.kind = SamplerNoise::usual, .level = 1});
}

int64_t ToyEstimator::leaves() const {
  return is_first_order() ? 1 : plan().images_per_root();
}

int64_t ToyEstimator::evaluations(int64_t samples) const {
  if (grid.empty()) return 0;
  if (method.estimator.gradient.at == GradientKnobs::At::network) return 1;
  const auto steps = plan();
  int64_t a_root = steps.nodes_at(steps.steps - 1);
  for (int64_t i = 1; i < steps.steps; ++i) a_root += steps.nodes_at(i);
  a_root += cost_evaluations_per_root(steps);
  if (is_first_order() && method.estimator.is_soft()) a_root += steps.steps;
  return a_root * samples / leaves();
}

std::string ToyEstimator::label() const {
  if (lookahead) return cat(name, " ", report::format_short(*lookahead));
  if (branch > 0) return cat(name, " ", split, "x", branch);
  return split > 0 ? cat(name, " ", split) : name;
}

bool ToyEstimator::draws_like(const ToyEstimator& other) const {
  const auto &one = method.estimator, &two = other.method.estimator;
  return grid == other.grid && one.source == two.source &&
         one.tree == two.tree && one.returns == two.returns &&
         one.gradient.stochastic == two.gradient.stochastic;
}

std::vector<ToyEstimator> toy_estimators(
    int64_t timestep, const std::vector<double>& lookaheads) {
  check(timestep, lookaheads);
  const auto whole = grid_until(timestep, -1);
  const auto until = [&](double rho) {
    return grid_until(
        timestep, static_cast<int64_t>(rho * static_cast<double>(timestep)));
  };
  std::vector<ToyEstimator> out = {
      {.name = "ZERO", .random = false},
      ppo(whole),
      zeroth("GRPO", whole),
      tree(1, 1, timestep, whole),
      first("DPS", GradientKnobs::At::network,
            {timestep + 1, timestep + 1 - kToyStride, 0}),
      first("SQDF2", GradientKnobs::At::adjoint,
            {timestep + 1, timestep + 1 - timestep / 2, 0}),
      first("ODEFULL", GradientKnobs::At::adjoint, whole),
      mixed(1, whole),
      mixed(4, whole)};
  for (const double rho : lookaheads) {
    out.push_back(zeroth_lookahead(rho, until(rho)));
    for (const bool where_it_leads : {false, true}) {
      out.push_back(first_lookahead(rho, where_it_leads, until(rho)));
    }
  }
  for (const auto& [splits, children] :
       {std::pair<int64_t, int64_t>{2, 2}, {3, 2}, {4, 2}, {2, 4}}) {
    out.push_back(tree(splits, children, timestep, whole));
  }
  out.push_back(with_return(zeroth("", whole), "SOFTRETURN",
                            Knobs::Return::soft, ToyPolicy::tilted));
  out.push_back(with_return(zeroth("", whole), "EXPREWARD",
                            Knobs::Return::exponential, ToyPolicy::reference));
  out.push_back(first_soft(whole));
  return out;
}

}  // namespace rsm
