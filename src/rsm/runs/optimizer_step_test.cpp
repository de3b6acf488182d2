#include "rsm/runs/optimizer_step.h"

#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(StepAlong, TakesTheGradientsAndLeavesNone) {
  std::vector<torch::Tensor> parameters = {at::ones({2}), at::ones({3})};
  for (auto& p : parameters) p.requires_grad_(true);
  torch::optim::SGD optimiser(parameters, torch::optim::SGDOptions(0.5));
  step_along(optimiser, {at::full({2}, 2.0F), at::full({3}, -2.0F)});
  EXPECT_TRUE(parameters[0].equal(at::zeros({2})));
  EXPECT_TRUE(parameters[1].equal(at::full({3}, 2.0F)));
  for (const auto& p : parameters) EXPECT_FALSE(p.grad().defined());
  expect_parts(error_of([&] { step_along(optimiser, {at::ones({2})}); }),
               {"[optimiser]", "1 gradients", "2 parameters"});
}

}  // namespace
}  // namespace rsm
