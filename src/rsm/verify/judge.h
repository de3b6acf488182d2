#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/paths/path.h"
#include "rsm/verify/distances.h"
#include "rsm/verify/problem.h"

namespace rsm::verify {

/** How near a model's samples are to a problem's answer. */
struct Fit {
  double distance = 0;      ///< sliced Wasserstein to the answer's own samples
  double kl = 0;            ///< KL(samples || answer) of shares in cells
  double reward = 0;        ///< mean
  double kl_reference = 0;  ///< KL(samples || reference), as `kl`
  /** (E[r] - alpha KL(samples || reference)) on the way from the reference's
   * to the answer's, which is the most there is: 1. */
  double objective = 0;
  /** The strength s whose tilt e^(s r / alpha) is nearest: 1 is what was asked
   * for; what is still far from that tilt has another shape. */
  double strength = 0;
  double strength_distance = 0;

  torch::Tensor points;  ///< [N,D]
};

/** Measures models on a problem. Samples are drawn by ODE steps from one fixed
 * noise. */
class Judge {
 public:
  Judge(Problem problem, std::shared_ptr<const Path> path, int64_t points,
        uint64_t seed);

  const Problem& problem() const { return problem_; }
  const std::shared_ptr<const Path>& path() const { return path_; }

  Fit fit_of(Denoiser& model) const;
  Fit fit_of_points(const torch::Tensor& points) const;

  /** Distances of as many of the answer's own samples: their mean and the one
   * that 1 of 20 exceeds. */
  double floor() const { return floor_; }
  double floor_high() const { return floor_high_; }
  double kl_floor() const { return kl_floor_; }
  /** Of a perfect network of the answer, sampled alike: what steps cost. */
  const Fit& exact() const { return exact_; }
  /** Of the model before training. */
  const Fit& reference() const { return reference_; }

  /** What of the way from the reference to the answer is left: 0 at a perfect
   * network's distance, 1 at the reference's. */
  double gap(const Fit& fit) const;
  /** Whether samples are as near as the answer's own, or a perfect network's.
   */
  bool is_at_floor(const Fit& fit) const;

 private:
  double objective(double reward, double kl) const;

  Problem problem_;
  std::shared_ptr<const Path> path_;
  torch::Tensor noise_;  ///< [N,D,1,1]
  std::unique_ptr<Profile> answer_;
  std::vector<std::pair<double, Profile>> tilts_;  ///< by strength
  std::unique_ptr<Cells> answer_cells_, reference_cells_;
  double floor_ = 0, floor_high_ = 0, kl_floor_ = 0, reference_floor_ = 0;
  Fit exact_, reference_;
};

}  // namespace rsm::verify
