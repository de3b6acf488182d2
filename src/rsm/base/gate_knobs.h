#pragma once

#include <cstdint>

namespace rsm {

/** Which samples the reference pulls at: those that what is trained on likes
 * better than other rewards do. Source: GARDO, arXiv 2512.24138. */
struct GateKnobs {
  double share = 0;  ///< of those, at first; 0: all samples are pulled
  double least = 0.02;
  double most = 0.2;
  double rate = 0.1;    ///< by which the share rises or falls after an epoch
  int64_t memory = 20;  ///< epochs that one is compared with

  bool is_on() const { return share > 0; }
  bool operator==(const GateKnobs&) const = default;
};

/** When the reference that pulls becomes the policy. */
struct ResetKnobs {
  double kl = 0;      ///< measured, above which it does; 0: whatever it is
  int64_t every = 0;  ///< epochs after which it does; 0: never

  bool is_on() const { return kl > 0 || every > 0; }
  /** After `since` epochs with one reference, at a distance of `now`. */
  bool is_due(double now, int64_t since) const {
    return (kl > 0 && now > kl) || (every > 0 && since >= every);
  }
  bool operator==(const ResetKnobs&) const = default;
};

}  // namespace rsm
