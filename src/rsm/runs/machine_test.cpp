#include "rsm/runs/machine.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(RolloutTypeWarning, IsOfBfloat16OnACpuWithoutItAlone) {
  const torch::Device cpu(torch::kCPU), gpu(torch::kCUDA);
  expect_parts(rollout_type_warning(cpu, torch::kBFloat16, false),
               {"compute.rollout_type", "bfloat16", "float32"});
  EXPECT_EQ(rollout_type_warning(cpu, torch::kBFloat16, true), "");
  EXPECT_EQ(rollout_type_warning(cpu, torch::kFloat, false), "");
  EXPECT_EQ(rollout_type_warning(gpu, torch::kBFloat16, false), "");
}

}  // namespace
}  // namespace rsm
