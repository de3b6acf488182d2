#pragma once

#include <algorithm>
#include <cstdint>

namespace rsm {

/** The steps of a stochastic path that draw noise and are trained; elsewhere it
 * takes the ODE's steps, which are no rows. Source: MixGRPO, arXiv 2507.21802.
 */
struct WindowKnobs {
  /** Where it lies after `every` epochs more: where it did; one step nearer to
   * the picture, until it ends with the steps that can be trained; anywhere
   * from its start on, each place as likely. */
  enum class Move { frozen, progressive, random };

  int64_t size = 0;  ///< steps; 0: there is none, and all of them draw noise
  int64_t start = 0;
  Move move = Move::frozen;
  int64_t every = 1;        ///< epochs
  double continuation = 1;  ///< share of the steps behind it that are taken

  bool is_on() const { return size > 0; }
  bool holds(int64_t step) const {
    return !is_on() || (step >= start && step < start + size);
  }
  /** The first step behind it, of so many that can be trained. */
  int64_t end(int64_t trainable) const {
    return is_on() ? std::min(start + size, trainable) : trainable;
  }
  bool operator==(const WindowKnobs&) const = default;
};

}  // namespace rsm
