#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "rsm/base/reward.h"
#include "rsm/rewards/rewards.h"

namespace rsm {

/** Where a spec says that its networks compute: the CPU unless it says another.
 * Throws rsm::UsageError where this machine has none such. */
torch::Device device_of(const RewardSpec& spec);

/** Calls that a judge on the CPU has under way at once, by a spec: LibTorch's
 * number of threads unless it says another. */
int64_t threads_of(const RewardSpec& spec);

/** [2,3,height,width] float32: a black picture and one of noise, in [0,1], to
 * try a judge with before a run; of kTriedSize where it takes any size. */
inline constexpr int64_t kTriedSize = 224;  // pixels
torch::Tensor pictures_to_try(int64_t height, int64_t width);

/** Throws rsm::Error, "[who] its WHAT of a black picture is not finite; mend
 * FILE", where numbers [2,...] of pictures_to_try() are not. */
void check_tried(const std::string& who, const std::string& file,
                 const torch::Tensor& numbers, const std::string& what);

/** A differentiable reward that a network computes of pictures and prompts.
 * Pictures are judged `kTile` at a time, the last repeated where fewer are
 * left: kernels differ in the last bits between batch sizes, and a score is to
 * depend on its picture alone. score() and value_of() are the same numbers, but
 * for the last bits of a single picture that carries a gradient: it is judged
 * alone, as copies of it would cost what it does, each. */
class NetworkReward : public Reward {
 public:
  static constexpr int64_t kTile = 8;

  /** Rows that so many pictures with a gradient are judged as. */
  static int64_t rows_of(int64_t pictures) {
    return pictures == 1 ? 1 : (pictures + kTile - 1) / kTile * kTile;
  }

  std::string name() const override { return spec_.name; }
  bool is_differentiable() const override { return true; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override;
  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts& prompts) const override;

 protected:
  explicit NetworkReward(RewardSpec spec) : spec_(std::move(spec)) {}

  const RewardSpec& spec() const { return spec_; }
  /** What errors begin with, without brackets. */
  std::string who() const { return "reward " + spec_.name; }
  torch::Device device() const { return device_of(spec_); }
  torch::ScalarType type() const;

  /** images [B,3,H,W] float32 on device(), which may carry a gradient, one
   * prompt each -> [B]. */
  virtual torch::Tensor judged(const torch::Tensor& images,
                               const Prompts& prompts) const = 0;

 private:
  RewardSpec spec_;
};

}  // namespace rsm
