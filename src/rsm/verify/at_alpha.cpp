#include "rsm/verify/at_alpha.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/base/error.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"
#include "rsm/objective/temperature.h"
#include "rsm/plot/format.h"
#include "rsm/rollouts/plan.h"

namespace rsm::verify {
namespace {

using KlForm = RegularisationKnobs::KlForm;
using Source = EstimatorKnobs::Source;
using Weight = PictureKnobs::Weight;

/** Of second order. Ten Euler steps narrow normal data by a quarter, forty by a
 * fifteenth, and what tilts them with it. */
constexpr int64_t kPictureSteps = 40;

/** No cut of advantages. */
constexpr double kUncut = 1e30;

/** A group's mean has a share of the reward it is taken off: the others' has
 * none. */
void take_rewards_as_they_come(EstimatorKnobs& knobs) {
  if (knobs.baseline == EstimatorKnobs::Baseline::mean) {
    knobs.baseline = EstimatorKnobs::Baseline::leave_one_out;
  }
  knobs.spread = EstimatorKnobs::Spread::none;
  knobs.diversity = EstimatorKnobs::Diversity::none;
  knobs.pictures.squash = 0;
  knobs.gradient.norm_clip = 0;
  knobs.gradient.norm_quantile = 0;
}

/** Points are no pictures: not a part of the model, but a network beside it. */
void shrink_networks(EstimatorKnobs& knobs) {
  auto& value = knobs.gradient.value;
  if (value.kind != ValueKnobs::Kind::none) {
    value.kind = ValueKnobs::Kind::small;
  }
}

/** Whether the size of a pull to the reference says a temperature. */
bool is_tempered_by_pull(const EstimatorKnobs& knobs) {
  const auto weight = knobs.pictures.weight;
  return !knobs.has_flow() &&
         (!knobs.is_of_pictures() || weight == Weight::advantage);
}

/** Else paths follow the ODE, and are trained along it. */
bool draws_noise(const EstimatorKnobs& knobs) {
  return !knobs.is_first_order() || knobs.gradient.stochastic;
}

// Along an ODE no noise says how large a step is: there, laws are those of
// pictures of N(0, 1) and r = x.

/** Of x_t; the flow of such pictures is a line through 0. */
double spread_at(const Path& path, double t) {
  return std::hypot(path.signal(t), path.noise(t));
}

/** How far the exact tilt of alpha 1 moves outputs. */
double tilt_of_outputs(const Path& path, double t) {
  const double noise = path.noise(t), spread = spread_at(path, t);
  const double of_value = path.signal(t) / (spread * spread);
  return of_value *
         (path.family() == Family::flow ? noise / path.signal(t) : noise);
}

/** The gradient that a method takes. */
double gradient_at(const GradientKnobs& knobs, const Path& path, double t) {
  using At = GradientKnobs::At;
  const double spread = spread_at(path, t);
  if (knobs.value.kind != ValueKnobs::Kind::none) return 1 / spread;
  switch (knobs.at) {
    case At::sample:
      return 1;
    case At::adjoint:
      return 1 / spread;
    case At::picture:
      return path.prediction(t).x;
    case At::network:
      return path.signal(t) / (spread * spread);
  }
  throw Error("[verify] a gradient outside its enum");
}

/** What a value network that has learnt all there is makes of a step: the
 * shape is gone. */
void complete(Method& method, Transition& step) {
  const auto& value = method.estimator.gradient.value;
  if (value.kind == ValueKnobs::Kind::none) return;
  if (value.law == ValueKnobs::Law::consistency) {
    method.strength.shape = StrengthKnobs::Shape::flat;
  } else {
    step.signal_next = 1;
  }
}

/** temperature() of a step of the ODE, which is trained at its start and
 * counts throughout: outputs rest where k_ref (y - y_ref) = g m_y G / 2. */
double ode_temperature(const Method& method, const Path& path,
                       const Transition& step, double share) {
  const double guidance = 0.5 * strength(method.strength, step) *
                          std::abs(step.m_y) * share *
                          gradient_at(method.estimator.gradient, path, step.t);
  return kl_factor(method.regularisation, step) *
         tilt_of_outputs(path, step.t) / guidance;
}

/** How far a tilt moves the picture by a step of the ODE. */
double ode_weight(const Path& path, const Transition& step) {
  return std::abs(step.m_y) * tilt_of_outputs(path, step.t) /
         spread_at(path, step.t);
}

/** Sets alpha of each trained step, and how much it counts. */
void add_temperatures(const Path& path, int64_t dimensions, Tempered& out) {
  const auto& knobs = out.method.estimator;
  const int64_t steps = steps_of(out.method);
  const auto plan =
      make_plan(out.method, steps, noise_of(out.method, path.family()));
  const auto transitions = plan.transitions(path);
  const bool draws = draws_noise(knobs);
  for (int64_t i = 0; i < std::ssize(transitions); ++i) {
    auto step = transitions[i];
    if (knobs.rows_at(i, steps) == 0 || !(step.s > 0)) continue;
    const double share =
        guidance_share(knobs, std::ssize(transitions) - 1 - i, dimensions);
    auto method = out.method;
    complete(method, step);
    if (!draws) step.t = 0.5 * (step.t + step.t_next);
    out.alpha.push_back(draws ? temperature(method, step, share)
                              : ode_temperature(method, path, step, share));
    out.weight.push_back(draws ? 1 : ode_weight(path, step));
  }
  const double sum = std::accumulate(out.weight.begin(), out.weight.end(), 0.0);
  for (double& weight : out.weight) weight /= sum;
}

/** The mean of 1/alpha. */
double inverse_temperature(const Tempered& tempered) {
  double out = 0;
  for (size_t i = 0; i < tempered.alpha.size(); ++i) {
    out += tempered.weight[i] / tempered.alpha[i];
  }
  return out;
}

}  // namespace

int64_t steps_of(const Method& method) {
  return method.estimator.is_of_pictures() ? kPictureSteps : kCatalogueSteps;
}

StepNoise noise_of(const Method& method, Family family) {
  const auto kind = method.estimator.noise;
  return {.kind = kind, .level = usual_level(kind, family)};
}

Tempered at_alpha(Method method, double alpha, const Path& path,
                  int64_t dimensions) {
  RSM_CHECK(alpha > 0, "[verify] alpha is ", alpha, "; it must be above 0");
  auto& knobs = method.estimator;
  auto& update = method.regularisation;
  take_rewards_as_they_come(knobs);
  shrink_networks(knobs);
  update.advantage_clip = kUncut;
  update.gate = {};
  update.reset = {};
  knobs.pictures.temperature = alpha;
  knobs.flow.reward_scale = 1 / alpha;
  knobs.flow.ramp = 0;
  if (!is_tempered_by_pull(knobs)) return {.method = method};
  const bool given = update.beta == 0;
  if (given) {
    update.beta = 1;
    const bool at_steps = !knobs.is_of_pictures() && !knobs.is_of_pairs();
    update.kl_form = at_steps ? KlForm::exact : KlForm::output;
  }
  Tempered out{.method = method, .is_given_pull = given};
  add_temperatures(path, dimensions, out);
  RSM_CHECK(!out.alpha.empty(), "[verify] ", method.name,
            " trains no step that draws noise: nothing says its temperature");
  const double factor = alpha * inverse_temperature(out);
  // Value networks are told of the pull as it is.
  if (knobs.is_first_order()) {
    out.method.strength.scale /= factor;
  } else {
    out.method.regularisation.beta *= factor;
  }
  for (double& at : out.alpha) at *= factor;
  return out;
}

namespace {

/** What the proportion of pull and guidance says. */
void add_temperature(const Tempered& tempered, std::vector<std::string>& out) {
  constexpr double kUneven = 1.05, kLeastWeight = 0.1;
  if (tempered.alpha.empty()) return;
  double low = INFINITY, high = 0;
  for (size_t i = 0; i < tempered.alpha.size(); ++i) {
    const auto steps = static_cast<double>(tempered.alpha.size());
    if (tempered.weight[i] * steps < kLeastWeight) continue;
    low = std::min(low, tempered.alpha[i]);
    high = std::max(high, tempered.alpha[i]);
  }
  if (high < kUneven * low) return;
  out.push_back(cat("pull and guidance are not in one proportion: alpha is ",
                    report::format_short(low), " to ",
                    report::format_short(high), " by time"));
}

void add_of_pictures(const PictureKnobs& knobs, double old,
                     std::vector<std::string>& out) {
  using Coefficient = PictureKnobs::Coefficient;
  using Distance = PictureKnobs::Distance;
  if (knobs.follows_gradients()) {
    out.emplace_back(
        "the gradient at one picture stands for that of the mean e^r: exact "
        "where r is linear and the posterior normal");
    return;
  }
  if (knobs.weight == Weight::exponential) {
    out.emplace_back(
        "each epoch tilts what the one before left: r / alpha adds up with "
        "training");
    return;
  }
  if (knobs.weight == Weight::top || knobs.weight == Weight::pairs) {
    out.emplace_back("the order of rewards counts, not their size: no alpha");
    return;
  }
  if (knobs.distance != Distance::square) {
    out.emplace_back(
        "the distance is divided by a size of its own sample: another alpha "
        "for each");
  }
  if (knobs.coefficient == Coefficient::sigmoid) {
    out.emplace_back("a group's weight falls as it is put in order");
  }
  if (old > 0) {
    out.emplace_back("a slower copy pulls too, and gives way with time");
  }
  out.emplace_back(
      "rewards move the present samples once, where the exact answer is the "
      "mean over all tilts up to it: the same for normal data and linear r");
}

void add_of_gradients(const GradientKnobs& knobs, bool is_soft,
                      std::vector<std::string>& out) {
  using At = GradientKnobs::At;
  if (knobs.value.kind != ValueKnobs::Kind::none) {
    out.emplace_back(
        "a value network learns what the gradient lacks, and has "
        "to keep up");
    if (knobs.value.law == ValueKnobs::Law::consistency) {
      out.emplace_back(
          "its value is that of the ODE's end: of control without noise, whose "
          "answer is the tilt for normal data and linear r alone");
    }
    return;
  }
  if (knobs.late_steps > 0 || knobs.random_late_steps) {
    out.emplace_back("only last steps are trained");
  }
  if (knobs.at == At::sample) {
    out.emplace_back(
        "the sample's gradient is not carried back along the path: too large "
        "where noise is");
  } else if (knobs.at != At::adjoint) {
    out.emplace_back(
        "the gradient is that of r of a predicted picture, not of the mean "
        "e^r: exact for linear r and normal data");
  }
  if (knobs.at == At::adjoint && knobs.lookahead == 0) {
    out.emplace_back(
        "the gradient is carried back to before the step, and not where it "
        "leads: smaller where steps are few");
  }
  if (knobs.reject_above < 1) {
    out.emplace_back(
        "states farthest from their target are rejected: for linear r and "
        "normal data the same times always");
  }
  if (knobs.through == GradientKnobs::Through::policy &&
      knobs.at == At::adjoint && !is_soft) {
    out.emplace_back("the path's own pull is not carried back with the reward");
  }
  if (knobs.positive_only) {
    out.emplace_back("pictures with r <= 0 train nothing");
  }
  if (knobs.discount < 1) {
    out.emplace_back("noisy times are discounted");
  }
}

void add_of_steps(const EstimatorKnobs& knobs, std::vector<std::string>& out) {
  if (knobs.source == Source::branches) {
    out.emplace_back(
        "a branch goes on along the ODE, which does not keep E[r] where noise "
        "is large");
  } else if (knobs.returns == EstimatorKnobs::Return::hard) {
    out.emplace_back(
        "returns are hard: r at the end, without the KL that later steps "
        "still pay; the same for normal data and linear r");
  }
  if (knobs.returns == EstimatorKnobs::Return::exponential) {
    out.emplace_back(
        "e^(r / alpha) is averaged over the present policy's paths, where the "
        "value's are the reference's: what was learnt counts again");
  }
  if (knobs.source == Source::tree && knobs.tree.split_noise != 1) {
    out.emplace_back("splits draw more noise than the sampler");
  }
  if (knobs.window.is_on()) {
    out.emplace_back("steps outside its window draw no noise");
  }
  if (knobs.noise == SamplerNoise::even_weight ||
      knobs.noise == SamplerNoise::constant) {
    out.emplace_back("the steps' noise is not what keeps the densities");
  }
}

bool leaves_out_dead_groups(const Method& method) {
  using Mask = RegularisationKnobs::Mask;
  const auto& knobs = method.estimator;
  return method.regularisation.mask == Mask::policy &&
         !knobs.is_first_order() && !knobs.has_flow() &&
         !knobs.is_of_pictures() && !knobs.is_of_pairs();
}

}  // namespace

std::vector<std::string> known_biases(const Tempered& tempered, Family family) {
  const auto& method = tempered.method;
  const auto& knobs = method.estimator;
  std::vector<std::string> out;
  if (knobs.has_flow()) {
    out.emplace_back(
        "what it aims at is e^(r / alpha) alone: of the model's density it "
        "knows where it begins, and where r has no end there is no answer");
    out.emplace_back(
        "a flow of states is learnt beside it, and has to keep up");
    return out;
  }
  if (method.strength.scaled_residual) {
    out.emplace_back("outputs are scaled in training and not afterwards");
  }
  if (!method.regularisation.pull_rows) {
    out.emplace_back("guidance and pull act at different times");
  }
  if (leaves_out_dead_groups(method)) {
    out.emplace_back(
        "groups without spread leave the guidance's mean and not the pull's: "
        "of rewards with few values the rest act the stronger (mask: none)");
  }
  add_temperature(tempered, out);
  if (knobs.is_of_pictures()) {
    add_of_pictures(knobs.pictures, method.regularisation.old, out);
    return out;
  }
  if (knobs.is_of_pairs()) {
    out.emplace_back(
        "a pair's difference stands for the reward's gradient, as if outputs "
        "moved pictures at all times alike, and over its own square: another "
        "alpha for each");
    return out;
  }
  if (knobs.is_first_order()) {
    add_of_gradients(knobs.gradient, knobs.is_soft(), out);
  } else {
    add_of_steps(knobs, out);
  }
  if (draws_noise(knobs) && family == Family::flow) {
    out.emplace_back(
        "paths remember the noise they begin with, which is not trained");
  }
  return out;
}

}  // namespace rsm::verify
