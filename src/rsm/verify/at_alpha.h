#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/methods/catalogue.h"
#include "rsm/paths/path.h"

namespace rsm::verify {

/** Steps of a method's sampler in training: those that the catalogue is fitted
 * to, and for clean pictures so many that they are the model's own. */
int64_t steps_of(const Method& method);

/** What a method's steps draw, as in a config that does not say it. */
StepNoise noise_of(const Method& method, Family family);

/** A method whose knobs say one temperature. */
struct Tempered {
  Method method;
  /** alpha by trained step: how much reward one unit of the exact KL is worth
   * there. Empty where the method has no pull to the reference, nor is given
   * one. */
  std::vector<double> alpha;
  /** How much each of them counts in the mean of 1/alpha: where noise is drawn
   * equally much; along an ODE by how far the tilt moves the picture in the
   * step, were the data normal. Their sum is 1. */
  std::vector<double> weight = {};
  bool is_given_pull = false;  ///< the entry itself holds the model by nothing
};

/** The method with rewards as they come (no spread, squash, clip or norm takes
 * their size away, no other reward or sibling counts), with one reference,
 * centred by the mean of the others, and with the weight of
 * its pull (of gradients: their strength) set so that the mean of 1/alpha is
 * what is asked for. A method that holds the model by
 * nothing has no answer to compare, and is given the exact KL (of pictures: the
 * plain distance); not where samples weigh by an exponential, whose temperature
 * is set instead, by their order, or by a learnt flow. Networks of a method's
 * own become small ones. Latents have so many dimensions. */
Tempered at_alpha(Method method, double alpha, const Path& path,
                  int64_t dimensions);

/** What theory knows to keep the method from the exactly tilted density, in
 * words, the weightiest first; none where nothing is known. */
std::vector<std::string> known_biases(const Tempered& tempered, Family family);

}  // namespace rsm::verify
