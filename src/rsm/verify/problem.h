#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/decoder.h"
#include "rsm/base/reward.h"
#include "rsm/verify/density.h"

namespace rsm::verify {

/** A density, a reward and a temperature: the answer is the density times
 * e^(reward / alpha). */
struct Problem {
  std::string name;
  Density reference;
  PointReward reward;
  double alpha = 1;

  Density answer() const { return reference.tilted(reward, 1 / alpha); }
};

/** What methods are tried on:
 *
 *     gauss-linear       N(0, 1), r = x
 *     modes-linear       three modes of N(m, 1/4) in the plane, at the corners
 *                        of arXiv 2604.17415's toy world at half its size; r
 *                        falls along the first axis
 *     modes-quadratic    the same, r = -|x - c|^2 / 4
 *     modes-step         the same, r = 1 on one side of a line */
std::vector<Problem> problems(double alpha);

/** The problem's reward as a judge of pictures that point_decoder() makes. */
std::unique_ptr<Reward> point_judge(const Problem& problem);

/** Latents [B,D,1,1] -> pictures [B,3,1,D] whose pixels are the coordinates, of
 * every colour and in FieldDecoder's range: gradients are taken of pictures
 * clamped to 0 to 1, and are 0 beyond it. Judges of points alone read them. */
std::shared_ptr<const Decoder> point_decoder();

}  // namespace rsm::verify
