#pragma once

#include <cstdint>

#include "rsm/base/value_knobs.h"

namespace rsm {

/** Where a reward's gradient is taken, and at which steps of a path it trains.
 * What is trained at x_i is pulled along a gradient in x. */
struct GradientKnobs {
  /** picture: at the picture predicted from a state, its output held fixed.
   * network: the same through the network. sample: at the path's own sample.
   * adjoint: that one carried back by the Jacobians of the steps. */
  enum class At { picture, network, sample, adjoint };
  /** Whose Jacobian, of `network` and `adjoint`: of the model before training,
   * of what is trained, that of a step without its network's part, or of a
   * consistency model. */
  enum class Through { reference, policy, linear, predictor };
  /** How replayed paths are drawn: each as likely, or as its reward above 0
   * says. */
  enum class Draw { even, reward };

  At at = At::sample;
  Through through = Through::reference;
  int64_t lookahead = 0;    ///< steps from what is trained to where it is taken
  bool stochastic = false;  ///< paths
  int64_t particles = 1;
  double jitter = 0;
  int64_t first_step = 0;
  int64_t late_steps = 0;
  bool random_late_steps = false;
  int64_t times = 0;
  int64_t early_times = 0;
  double early_share = 0.6;
  bool last_time = false;
  bool shared_times = false;
  double prompt_dropout = 0;
  double norm_clip = 0;
  double norm_quantile = 0;
  double discount = 1;
  bool of_sum = false;
  bool positive_only = false;
  double reject_above = 1;
  int64_t replay = 0;
  int64_t replay_age = 0;
  Draw replay_draw = Draw::even;
  ValueKnobs value;
  bool operator==(const GradientKnobs&) const = default;
};

}  // namespace rsm
