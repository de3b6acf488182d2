#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/state_dict.h"
#include "rsm/worlds/shapes_world.h"

/** A judge of the shapes world that can be differentiated: a small
 * convolutional network that says how likely the checker
 * (worlds/shapes_checker.h) is to find a caption strictly true of a picture.
 *
 * Convolutions tell, of each of 8 x 8 cells, whether the middle of an object
 * lies there, of which shape and colour it is, and where exactly. Sums over
 * cells then count the objects that a caption asks for and locate them; a small
 * network compares that with what it says. All of it is smooth. */
namespace rsm::shapes {

struct ScorerConfig {
  int64_t stem = 48;   ///< channels where pictures are 16 wide; of 8
  int64_t width = 64;  ///< channels where they are 8 wide; of 8
  int64_t blocks = 2;  ///< residual ones, at that width
  int64_t judge = 64;  ///< width of the network that compares
};

/** Cells of a side of the picture. */
inline constexpr int64_t kCells = 8;

/** What a cell says: of an object there (a logit), its shape (logits: the
 * world's, then "none"), its colour (the same), and where its middle lies, x
 * and y from the cell's own in cells. */
inline constexpr int64_t kCellShapes = 5;
inline constexpr int64_t kCellColors = 9;
inline constexpr int64_t kCellPlanes = 1 + kCellShapes + kCellColors + 2;

/** What captions say, in numbers: [N,kCaptionNumbers] float32. */
inline constexpr int64_t kCaptionNumbers = 133;
torch::Tensor caption_numbers(const std::vector<Spec>& specs);

/** Whether a picture shows what a caption says. Cheap to copy: copies share
 * their weights. */
class Scorer {
 public:
  /** Random weights; every picture is as likely right as wrong. */
  Scorer(const ScorerConfig& config, uint64_t seed);

  /** A folder of save(). Throws rsm::Error naming the file and the key or
   * tensor that is missing or wrong. */
  static Scorer load(const std::string& folder);
  /** Writes config.json and model.safetensors, weights as `type`. */
  void save(const std::string& folder, torch::ScalarType type) const;

  /** The same, computing there. */
  Scorer on(torch::Device device) const;

  const StateDict& weights() const { return weights_; }

  /** Pictures [B,3,32,32] float32 in [0,1] -> [B,kCellPlanes,8,8]. */
  torch::Tensor cells(const torch::Tensor& images) const;

  /** Cells of B pictures and K captions about each, [B,K,kCaptionNumbers] ->
   * logits [B,K] of the chance that the picture shows what the caption says. */
  torch::Tensor logits(const torch::Tensor& cells,
                       const torch::Tensor& captions) const;

 private:
  torch::Tensor convolved(const torch::Tensor& x, const std::string& name,
                          int64_t stride = 1) const;
  torch::Tensor normed(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor linear(const torch::Tensor& x, const std::string& name) const;

  ScorerConfig config_;
  StateDict weights_;
};

}  // namespace rsm::shapes
