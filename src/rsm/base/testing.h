#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include <string>
#include <vector>

/** Tests that run on every device; no part of the library includes this. */
namespace rsm {

/** The CPU and, where LibTorch finds one, a GPU. */
inline std::vector<std::string> test_devices() {
  std::vector<std::string> devices = {"cpu"};
  if (torch::cuda::is_available()) devices.emplace_back("cuda");
  return devices;
}

/** A suite whose TEST_P run on each of them; RSM_ON_EVERY_DEVICE says which.
 * A GPU convolves in float32 there, not in TF32: a tolerance is of the code. */
class OnDevice : public testing::TestWithParam<std::string> {
 protected:
  OnDevice() { at::globalContext().setAllowTF32CuDNN(false); }
  torch::Device device() const { return torch::Device(GetParam()); }
  /** Whether equal work gives equal bytes. A GPU adds up index_add in no fixed
   * order, so nothing is claimed bit for bit there (docs/reproducing.md). */
  bool repeats_its_bits() const { return device().is_cpu(); }
  /** The overrides that put a run there, before others. A GPU takes one call at
   * a time, so that the configs' threads do not go with it. */
  std::vector<std::string> on_device(
      std::vector<std::string> overrides = {}) const {
    const std::string all =
        "compute={device: cuda, rollout_tile: 8, train_tile: 8}";
    overrides.insert(overrides.begin(),
                     device().is_cpu() ? "compute.device=cpu" : all);
    return overrides;
  }
};

}  // namespace rsm

#define RSM_ON_EVERY_DEVICE(suite)                                          \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(rsm::test_devices()), \
                           [](const auto& info) { return info.param; })
