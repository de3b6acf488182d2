#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/progress.h"
#include "rsm/models/network.h"

namespace rsm {

/** How many rows go through the network at once. Every call has exactly `tile`
 * rows (the last ones repeat where fewer are left), since kernels differ in
 * the last bits between batch sizes. */
struct TileOptions {
  int64_t tile = 16;
  /** Calls under way at once, each on one core. */
  int64_t workers = 1;

  /** Calls for so many rows. */
  int64_t calls(int64_t rows) const { return (rows + tile - 1) / tile; }
};

/** Why such a negative prompt would do nothing at this guidance scale; "" where
 * it does, or there is none. */
std::string idle_negative_prompt(const std::string& negative_prompt,
                                 double guidance_scale);

/** A network under classifier-free guidance:
 * y = y_u + scale (y_c - y_u), both halves in one batched call; at scale 1 the
 * unconditional half is not computed. Output float32.
 * Source: Ho & Salimans 2022, arXiv:2207.12598. */
class GuidedNetwork : public Denoiser {
 public:
  /** `unconditional` is the condition of the negative prompt, one row. */
  GuidedNetwork(Network network, Condition unconditional, double scale,
                const TileOptions& tiles);

  /** From now on every tile begins with a stop_point() of `progress`, which has
   * to outlive that; nullptr: no more. */
  void watch(const Progress* progress) { progress_ = progress; }

  /** From now on predict() and gradients() are collective calls of these ranks,
   * with the same arguments on each: they share out the tiles, and all have the
   * whole, in the bits of one alone. The ranks have to outlive that, and a stop
   * is heard before a call, by all of them; nullptr: no more. */
  void share(Communicator* ranks) { ranks_ = ranks; }

  /** From now on no gradient goes through the unconditional half: an output's
   * derivative is `scale` times that of the conditional one. Source: the
   * release of VGG-Flow, arXiv 2512.05116. */
  void stop_unconditional() { stops_unconditional_ = true; }

  /** Without gradient, tile by tile: only a tile of x, its conditions and its
   * outputs are on the network's device at once. */
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override;

  /** One forward and one backward pass a row, tile by tile. */
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor& t,
                          const ConditionRows& conditions,
                          const OutputGradient& output_gradient) override;

  /** dL/d parameters, summed over tiles in their order whatever the number of
   * workers. One forward and one backward pass a row. `rows` int64 [N] on the
   * CPU says which rows of x, t and the conditions the N are, and in which
   * order; undefined: all. */
  std::vector<torch::Tensor> gradients(
      const torch::Tensor& x, const torch::Tensor& t,
      const ConditionRows& conditions,
      const std::vector<torch::Tensor>& parameters,
      const OutputGradient& output_gradient, const torch::Tensor& rows = {});

  Network network() const { return network_; }

 private:
  /** work(first, count) for the rows of every tile, or of some tiles. */
  void for_each_tile(int64_t rows,
                     const std::function<void(int64_t, int64_t)>& work) const;
  void for_each_tile(int64_t rows, Share tiles,
                     const std::function<void(int64_t, int64_t)>& work) const;
  bool is_shared() const { return ranks_ != nullptr && !ranks_->is_sole(); }
  /** Where ranks begin a call together: throws Interrupted on all of them. */
  void stop_together() const;
  /** Fills what others computed of the rows of `out`. */
  void gather_tiles(torch::Tensor& out) const;
  /** Outputs of `rows`, at most a tile of them, where x [tile,...] is theirs
   * and fills the tile. */
  torch::Tensor run_tile(const torch::Tensor& x, const torch::Tensor& t,
                         const ConditionRows& conditions,
                         const torch::Tensor& rows);
  /** The states of `rows`, filled up to a tile, on the network's device. */
  torch::Tensor tile_of(const torch::Tensor& x,
                        const torch::Tensor& rows) const;

  Network network_;
  torch::Device device_;  ///< of its weights
  Condition unconditional_;
  double scale_;
  bool stops_unconditional_ = false;
  TileOptions tiles_;
  const Progress* progress_ = nullptr;
  Communicator* ranks_ = nullptr;
};

}  // namespace rsm
