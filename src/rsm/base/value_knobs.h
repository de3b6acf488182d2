#pragma once

#include <cstdint>
#include <vector>

namespace rsm {

/** g_phi, a network of the estimator's own that learns what a reward's gradient
 * at a state lacks of that of the value there. */
struct ValueKnobs {
  /** What it is: none; a small UNet; a copy of the model before training, all
   * of whose weights learn, or a LoRA and the last layer. */
  enum class Kind { none, small, copy, lora };
  /** What it learns from. consistency: its transport along the flow (VGG-Flow,
   * arXiv 2512.05116), in the units of the output. balance: forward and
   * backward steps agree (Residual grad-DB, arXiv 2412.07775), in those of the
   * step's log-density. */
  enum class Law { consistency, balance };

  Kind kind = Kind::none;
  Law law = Law::consistency;
  std::vector<int64_t> channels = {64, 128, 256, 256};  ///< of `small`
  int64_t rank = 8;                                     ///< of `lora`
  double output_scale = 1e-3;
  double lr = 1e-4;
  double weight_decay = 1e-4;
  double max_grad_norm = 1;
  double consistency = 1;    ///< this and the next only for `consistency`
  double difference = 1e-4;  ///< in t, and in x along a velocity
  double backward = 1;       ///< only for `balance`
  double terminal = 1000;

  /** Passes of the policy and the reference, forward or both ways, that its
   * losses take at a trained state. */
  int64_t evaluations() const {
    if (kind == Kind::none) return 0;
    if (law == Law::consistency) return consistency > 0 ? 5 : 0;
    return backward > 0 ? 3 : 2;
  }
  bool operator==(const ValueKnobs&) const = default;
};

}  // namespace rsm
