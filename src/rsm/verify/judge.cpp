#include "rsm/verify/judge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/verify/exact_denoiser.h"
#include "rsm/verify/world_network.h"

namespace rsm::verify {
namespace {

/** Steps of the ODE, so many that they cost little beside the floor. */
constexpr int64_t kFineSteps = 100;
constexpr int64_t kFloorDraws = 20;
/** Strengths whose tilts a model's samples are held against. */
constexpr double kMostStrength = 3;
constexpr int64_t kStrengths = 24;

enum class Draw : uint64_t { noise, answer, floor = 100, tilt = 200 };

uint64_t seed_of(uint64_t seed, Draw what, int64_t number = 0) {
  return counted_seed(
      seed, Purpose::evaluation,
      {static_cast<uint64_t>(what) + static_cast<uint64_t>(number)});
}

}  // namespace

Judge::Judge(Problem problem, std::shared_ptr<const Path> path, int64_t points,
             uint64_t seed)
    : problem_(std::move(problem)), path_(std::move(path)) {
  const auto& reference = problem_.reference;
  const auto answer = problem_.answer();
  noise_ = counted_normal(seed_of(seed, Draw::noise),
                          {points, reference.dimensions(), 1, 1});
  const auto samples = answer.sample(points, seed_of(seed, Draw::answer));
  answer_ = std::make_unique<Profile>(samples);
  const auto drawn = reference.sample(points, seed_of(seed, Draw::tilt));
  const auto both = at::cat({samples, drawn});
  answer_cells_ = std::make_unique<Cells>(answer, both);
  reference_cells_ = std::make_unique<Cells>(reference, both);
  reference_floor_ = reference_cells_->kl_of(drawn);
  std::vector<double> floors;
  for (int64_t k = 0; k < kFloorDraws; ++k) {
    const auto own = answer.sample(points, seed_of(seed, Draw::floor, k));
    floors.push_back(Profile(own).distance_to(*answer_));
    kl_floor_ += answer_cells_->kl_of(own) / kFloorDraws;
  }
  std::sort(floors.begin(), floors.end());
  floor_ = std::accumulate(floors.begin(), floors.end(), 0.0) / kFloorDraws;
  floor_high_ = floors[kFloorDraws - 2];
  for (int64_t k = 0; k <= kStrengths; ++k) {
    const double strength = kMostStrength * static_cast<double>(k) / kStrengths;
    const auto tilt =
        reference.tilted(problem_.reward, strength / problem_.alpha);
    tilts_.emplace_back(
        strength, Profile(tilt.sample(points, seed_of(seed, Draw::answer))));
  }
  ExactDenoiser perfect(path_, answer), before(path_, reference);
  exact_ = fit_of(perfect);
  reference_ = fit_of(before);
}

Fit Judge::fit_of(Denoiser& model) const {
  const auto times = path_->times(kFineSteps);
  const auto conditions = no_condition(1);
  const auto rows = at::zeros({noise_.size(0)}, at::kLong);
  return fit_of_points(
      sample_ode(model, *path_, times, noise_, {conditions, rows})
          .flatten(1)
          .to(at::kDouble));
}

Fit Judge::fit_of_points(const torch::Tensor& points) const {
  RSM_CHECK(points.isfinite().all().item<bool>(), "[verify] on ", problem_.name,
            " a model's samples are not finite: it diverged");
  Fit out;
  out.points = points;
  const Profile profile(points);
  out.distance = profile.distance_to(*answer_);
  out.kl = answer_cells_->kl_of(points);
  out.kl_reference =
      std::max(0.0, reference_cells_->kl_of(points) - reference_floor_);
  out.reward = problem_.reward.at(points).mean().item<double>();
  out.objective = objective(out.reward, out.kl_reference);
  out.strength_distance = INFINITY;
  for (const auto& [strength, tilt] : tilts_) {
    const double far = profile.distance_to(tilt);
    if (far < out.strength_distance) {
      out.strength = strength;
      out.strength_distance = far;
    }
  }
  return out;
}

double Judge::objective(double reward, double kl) const {
  const auto& p = problem_.reference;
  const double before = p.tilted_reward(problem_.reward, 0);
  const double most =
      problem_.alpha * p.log_mass(problem_.reward, 1 / problem_.alpha);
  return (reward - problem_.alpha * kl - before) / (most - before);
}

double Judge::gap(const Fit& fit) const {
  const double least = std::max(floor_, exact_.distance);
  return (fit.distance - least) / (reference_.distance - least);
}

bool Judge::is_at_floor(const Fit& fit) const {
  return fit.distance <= std::max(floor_high_, exact_.distance);
}

}  // namespace rsm::verify
