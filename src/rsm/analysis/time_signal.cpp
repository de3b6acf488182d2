#include "rsm/analysis/time_signal.h"

#include <cmath>
#include <string>

#include "rsm/analysis/loss_guidance.h"
#include "rsm/base/clock.h"
#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/data/certainty.h"
#include "rsm/estimators/sibling_rewards.h"
#include "rsm/estimators/zeroth_order.h"
#include "rsm/runs/judged.h"

namespace rsm {
namespace {

/** Errors of a mean over blocks need as many. */
constexpr int64_t kLeastBlocks = 3;

/** A mean over roots, of which those of one prompt belong together. */
Measured over_roots(const torch::Tensor& values, const Prompts& prompts) {
  std::vector<int64_t> ids;
  std::vector<std::string> categories;
  for (const auto& prompt : prompts) {
    ids.push_back(prompt.id);
    categories.push_back(prompt.category);
  }
  const auto numbers = doubles_of(values);
  return {mean_of(numbers), error_of_mean(numbers, ids, categories).standard};
}

/** A ratio of means, its error to first order. */
Measured ratio_over_roots(const torch::Tensor& above,
                          const torch::Tensor& below, const Prompts& prompts) {
  const double mean = below.mean().item<double>();
  if (mean == 0) return {NAN, NAN};
  const double ratio = above.mean().item<double>() / mean;
  return {ratio, over_roots((above - ratio * below) / mean, prompts).error};
}

void check(const SignalOptions& options, const RolloutRequest& request) {
  const auto roots = std::ssize(request.prompts);
  if (options.branches < 2) {
    throw UsageError(cat("[signal] branches is ", options.branches,
                         "; 2 or more siblings can be compared"));
  }
  if (options.blocks < kLeastBlocks || roots % options.blocks != 0 ||
      roots == 0) {
    throw UsageError(cat("[signal] blocks is ", options.blocks, " of ", roots,
                         " roots; it is ", kLeastBlocks,
                         " or more and divides the roots"));
  }
  RSM_CHECK(request.members == 1, "[signal] ", request.members,
            " members a prompt arrived; list a prompt as often as it is to "
            "have roots");
}

/** The siblings of one step, and those of the opposite noise. */
struct Siblings {
  Sampled drawn;
  torch::Tensor rewards, mirrored;  ///< [roots,K] float64
  double draw_seconds = 0, reward_seconds = 0;
};

class AtStep {
 public:
  AtStep(const Method& method, const SignalOptions& options, int64_t step,
         const RolloutRequest& request, const SignalParts& parts,
         const Progress& progress)
      : method_(sibling_method(method, options.steps, step, options.branches)),
        options_(options),
        request_(request),
        parts_(parts),
        progress_(progress),
        plan_(make_plan(method_, options.steps, options.noise,
                        options.continuation_steps)) {
    out_.step = step;
    out_.t = plan_.transitions(parts.path)[step].t;
    out_.branches = options.branches;
    // One state a root is trained.
    out_.evaluations = plan_.evaluations_per_root() + 1;
    out_.branch_evaluations = plan_.continuation_at(step);
  }

  TimeSignal measure() {
    const auto siblings = this->siblings();
    const auto& prompts = request_.prompts;
    const auto [variance, odd] =
        sibling_rewards(siblings.rewards, siblings.mirrored);
    out_.variance = over_roots(variance, prompts);
    out_.spread = sibling_spread(method_.estimator, out_.variance.value);
    out_.odd = over_roots(odd, prompts);
    out_.odd_share = ratio_over_roots(odd, variance, prompts);
    const Clock clock;
    const auto scale =
        gradient_scale(products(siblings.drawn), roots() / options_.blocks);
    out_.update_seconds = clock.seconds() / static_cast<double>(roots());
    out_.signal = scale.signal;
    out_.noise = scale.noise;
    out_.noise_scale = scale.noise_scale;
    const double drawn = 2 * static_cast<double>(roots());
    out_.draw_seconds = siblings.draw_seconds / drawn;
    out_.reward_seconds = siblings.reward_seconds / drawn;
    return out_;
  }

 private:
  int64_t roots() const { return std::ssize(request_.prompts); }

  Siblings siblings() const {
    Siblings out;
    out.drawn = drawn(false, out);
    out.rewards = by_root(out.drawn.scores);
    out.mirrored = by_root(drawn(true, out).scores);
    return out;
  }

  torch::Tensor by_root(const RewardScores& scores) const {
    return scores.value.to(at::kDouble).view({roots(), options_.branches});
  }

  /** Block by block, so that the sampler holds no more. */
  Sampled drawn(bool mirrored, Siblings& spent) const {
    auto plan = plan_;
    plan.mirrored = mirrored;
    Sampled out;
    out.conditions = request_.conditions;
    out.rollout = make_room(parts_.path, plan, request_);
    const Clock clock;
    const int64_t each = roots() / options_.blocks;
    for (int64_t first = 0; first < roots(); first += each) {
      progress_.stop_point();
      draw(parts_.sampler, parts_.path, plan, request_, {first, each},
           out.rollout);
    }
    const double drawn = clock.seconds();
    out.scores = judged(out.rollout, parts_.decoder, parts_.reward, 0,
                        out.rollout.images());
    spent.draw_seconds += drawn;
    spent.reward_seconds += clock.seconds() - drawn;
    return out;
  }

  /** [blocks,blocks] inner products of their gradients, float64. */
  torch::Tensor products(const Sampled& sampled) const {
    const auto guidance =
        ZerothOrder(method_, request_.run_seed).guide(sampled, request_.epoch);
    const int64_t each = roots() / options_.blocks;
    std::vector<torch::Tensor> gradients;
    for (int64_t block = 0; block < options_.blocks; ++block) {
      progress_.stop_point();
      gradients.push_back(gradient_of(sampled, guidance, block * each, each));
    }
    auto out = at::empty({options_.blocks, options_.blocks}, at::kDouble);
    for (int64_t i = 0; i < options_.blocks; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        // Sums of a LoRA's millions of squares in float32 are too coarse.
        out[i][j] = out[j][i] = (gradients[i] * gradients[j]).sum(at::kDouble);
      }
    }
    return out;
  }

  /** Of a block of roots, in one row and in host memory. Each has one state. */
  torch::Tensor gradient_of(const Sampled& sampled, const Guidance& guidance,
                            int64_t first, int64_t count) const {
    const auto& rollout = sampled.rollout;
    const auto all = all_states(rollout);
    const std::vector<int64_t> states(all.begin() + first,
                                      all.begin() + first + count);
    const auto weights =
        guidance_weights(method_, rollout, guidance.advantages, states);
    const auto gradients = parts_.trained.gradients(
        rollout.x, times_of(rollout, all), sampled.conditions_of(all),
        parts_.parameters,
        [&](int64_t begin, int64_t rows, const torch::Tensor& y) {
          const std::vector<int64_t> part(states.begin() + begin,
                                          states.begin() + begin + rows);
          return guidance_gradient(method_, rollout, guidance, weights, part,
                                   y);
        },
        torch::tensor(states, at::kLong));
    std::vector<torch::Tensor> flat;
    for (const auto& gradient : gradients) {
      flat.push_back(gradient.flatten().to(at::kCPU, at::kFloat));
    }
    return at::cat(flat);
  }

  Method method_;
  const SignalOptions& options_;
  const RolloutRequest& request_;
  const SignalParts& parts_;
  const Progress& progress_;
  RolloutPlan plan_;
  TimeSignal out_;
};

/** The three numbers of some blocks. */
struct Scale {
  double signal, noise;
  double ratio() const { return signal > 0 ? noise / signal : NAN; }
};

Scale scale_of(const torch::Tensor& products, int64_t roots) {
  const auto n = static_cast<double>(products.size(0));
  const double squares = products.trace().item<double>();
  const double signal =
      (products.sum().item<double>() - squares) / (n * (n - 1));
  return {signal, (squares / n - signal) * static_cast<double>(roots)};
}

/** A number of all blocks, and of all but each one. */
Measured jackknife(double value, const std::vector<double>& without) {
  const auto n = static_cast<double>(without.size());
  const double mean = mean_of(without);
  double squares = 0;
  for (const double one : without) squares += (one - mean) * (one - mean);
  return {value, std::sqrt(squares * (n - 1) / n)};
}

}  // namespace

Method sibling_method(Method method, int64_t steps, int64_t step,
                      int64_t branches) {
  auto& knobs = method.estimator;
  if (!knobs.draws_rows() || knobs.has_flow() ||
      method.strength.scaled_residual) {
    throw UsageError(
        cat("[signal] the guidance of method ", method.name,
            " is not rewards times the noise of a sampler's step, so that "
            "siblings tell nothing of it; take a run or config whose "
            "method.estimator.source is branches, rollout or tree"));
  }
  if (knobs.baseline == EstimatorKnobs::Baseline::running) {
    knobs.baseline = EstimatorKnobs::Baseline::mean;
  }
  knobs.source = EstimatorKnobs::Source::branches;
  knobs.grouping = EstimatorKnobs::Grouping::seed;
  knobs.diversity = EstimatorKnobs::Diversity::none;
  method.regularisation.gate = {};
  knobs.profile.clear();
  knobs.tree = {};
  knobs.forward = {};
  knobs.returns = EstimatorKnobs::Return::hard;
  knobs.surrogate = {};
  knobs.branches.assign(steps, 0);
  knobs.branches.at(step) = branches;
  method.regularisation.anchors = false;
  // A mean over live rows would count dead roots as if they pulled, too.
  method.regularisation.mask = RegularisationKnobs::Mask::none;
  return method;
}

GradientScale gradient_scale(const torch::Tensor& products, int64_t roots) {
  const int64_t blocks = products.size(0);
  RSM_CHECK(blocks >= kLeastBlocks, "[signal] gradients of ", blocks,
            " blocks arrived; errors need ", kLeastBlocks);
  std::vector<double> signals, noises, ratios;
  for (int64_t out = 0; out < blocks; ++out) {
    std::vector<int64_t> kept;
    for (int64_t i = 0; i < blocks; ++i) {
      if (i != out) kept.push_back(i);
    }
    const auto index = torch::tensor(kept, at::kLong);
    const auto scale =
        scale_of(products.index_select(0, index).index_select(1, index), roots);
    signals.push_back(scale.signal);
    noises.push_back(scale.noise);
    ratios.push_back(scale.ratio());
  }
  const auto all = scale_of(products, roots);
  return {jackknife(all.signal, signals), jackknife(all.noise, noises),
          jackknife(all.ratio(), ratios)};
}

std::vector<TimeSignal> time_signals(const Method& method,
                                     const SignalOptions& options,
                                     const RolloutRequest& request,
                                     const SignalParts& parts,
                                     Progress& progress) {
  check(options, request);
  std::vector<TimeSignal> out;
  progress.begin("signal by time", options.steps - 1);
  for (int64_t step = 0; step < options.steps - 1; ++step) {
    out.push_back(
        AtStep(method, options, step, request, parts, progress).measure());
    progress.update(step + 1, "");
  }
  progress.end();
  return out;
}

}  // namespace rsm
