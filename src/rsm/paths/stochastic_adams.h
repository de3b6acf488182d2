#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "rsm/paths/path.h"

namespace rsm {

constexpr int64_t kMostAdamsOrder = 4;

/** Settings of SA-Solver (arXiv 2309.05019), a multistep solver of the SDEs
 * that have the ODE's marginals at all times: with tau 0 it is the ODE, with 1
 * the noise is DDPM's. tau is constant in an interval of times, 0 outside. */
struct StochasticAdams {
  double tau = 1;     ///< at least 0
  double from = 0.2;  ///< the interval, in [0,1], its ends included
  double to = 0.8;
  int64_t predictor_order = 2;  ///< 1 to kMostAdamsOrder
  int64_t corrector_order = 2;  ///< the same; 0: there is no corrector

  double tau_at(double t) const { return t >= from && t <= to ? tau : 0; }
  bool operator==(const StochasticAdams&) const = default;
};

/** Where a config gives none. Diffusion models: diffusers' tau 1 in 0.2 to 0.8.
 * Flows: 0.4 in 0.3 to 0.9, of the release of arXiv 2509.25050: with 1, twenty
 * steps widen normal data of spread 0.5 to 0.62. */
StochasticAdams usual_adams(Family family);

/** A step in the pictures that the network predicts, f_j:
 *
 *     x' = keep x + sum_j shares[j] f_j + noise eps,   eps ~ N(0, I) */
struct AdamsStep {
  double keep = 0;
  std::vector<double> shares;  ///< newest f_j first
  double noise = 0;
};

// Step i leads from times[i] to times[i + 1]. lambda = log(signal / noise), h
// is its change, and g = 1 + tau^2 with the tau of times[i], as in diffusers:
//
//     keep   = noise' / noise e^(-tau^2 h)
//     shares = signal' int_0^h g e^(-g u) l_j(lambda' - u) du
//     noise  = noise' sqrt(1 - e^(-2 tau^2 h))
//
// where l_j are Lagrange's polynomials through the lambdas of the f_j. With two
// of them the integral of h - u is taken to be g h^2 / 2 (appendix D of the
// paper): of the same order, and better where steps are few. All this is what
// diffusers' SASolverScheduler computes for data prediction.
//
// Orders are lower where fewer f_j are known, and for the last steps (the last
// predictor has order 1), as there. Times where the signal is 0, t = 1 of
// flows, have no lambda: no polynomial goes through them, the step from there
// has order 1 and no corrector; a step to noise 0 is the predicted picture.
// Both throw rsm::Error for i outside the grid and for settings out of range.

/** By the pictures predicted at times[i], times[i - 1], ... */
AdamsStep adams_predictor(const Path& path, const std::vector<double>& times,
                          int64_t i, const StochasticAdams& settings);

/** The same step once more, from the same x and with the same noise, by those
 * predicted at times[i + 1], times[i], ...; nullopt where there is none. */
std::optional<AdamsStep> adams_corrector(const Path& path,
                                         const std::vector<double>& times,
                                         int64_t i,
                                         const StochasticAdams& settings);

}  // namespace rsm
