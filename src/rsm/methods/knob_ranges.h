#pragma once

#include <string>

namespace rsm {

/** Allowed values of a number, or of each number of a list. */
struct Range {
  double min = 0;
  double max = 0;
  bool without_min = false;

  /** "above 0", "2 to 64" */
  std::string text() const;
};

constexpr double kLargest = 1e30;  // no knob comes near; float32 still holds it
constexpr Range kSamplerSteps = {0, 1000};  // of a sampler
constexpr Range kEpochs = {0, 1e9};
constexpr Range kBuffered = {2, 1e6};  // rewards of a prompt
constexpr Range kBranches = {0, 10000};
constexpr Range kUnetChannels = {4, 4096};
constexpr Range kNotNegative = {0, kLargest};
constexpr Range kShare = {0, 1};
constexpr Range kPositive = {0, kLargest, true};

}  // namespace rsm
