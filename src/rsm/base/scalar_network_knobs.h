#pragma once

#include <cstdint>
#include <vector>

namespace rsm {

/** A small network (x, t, prompt) -> a number, and the AdamW that trains it. */
struct ScalarNetworkKnobs {
  std::vector<int64_t> channels;
  int64_t layers = 1;
  double lr = 1e-3;
  double weight_decay = 1e-4;
  double max_grad_norm = 1;

  bool operator==(const ScalarNetworkKnobs&) const = default;
};

}  // namespace rsm
