#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "rsm/base/communicator.h"

namespace rsm {

/** Adds up gradients in the order of their numbers as they arrive, from several
 * threads. */
class OrderedSum {
 public:
  void add(int64_t number, std::vector<torch::Tensor> part);
  /** Empty where none came. */
  std::vector<torch::Tensor> take() { return std::move(sum_); }

 private:
  void accumulate(std::vector<torch::Tensor>& part);

  std::mutex mutex_;
  std::map<int64_t, std::vector<torch::Tensor>> waiting_;
  int64_t next_ = 0;
  std::vector<torch::Tensor> sum_;
};

/** Takes the gradient of a tile; called from several threads. */
using TakePart =
    std::function<void(int64_t tile, std::vector<torch::Tensor> part)>;
/** Computes the gradients of some tiles, in any order. */
using GradientsOfTiles = std::function<void(Share tiles, const TakePart& take)>;

/** How many tiles a rank computes before ranks add them up: its share of
 * `tiles`, or fewer, so that it holds 512 MiB of gradients at most; as many as
 * its `workers` compute at once in any case. It changes no bit. */
int64_t tiles_in_a_round(int64_t tiles, int64_t ranks, int64_t workers,
                         int64_t bytes_of_gradient);

/** What OrderedSum gives of `tiles` tiles, 1 or more, whose gradients ranks
 * compute in rounds: in the order of the tiles, in the same bits, on each of
 * them. Gradients are as `parameters`, all of one type. Collective. */
std::vector<torch::Tensor> sum_over_ranks(
    Communicator& ranks, int64_t tiles, int64_t workers,
    const std::vector<torch::Tensor>& parameters,
    const GradientsOfTiles& gradients);

}  // namespace rsm
