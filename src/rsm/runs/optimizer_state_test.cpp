#include "rsm/runs/optimizer_state.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(AdamwState, ContinuesBitForBit) {
  const auto target = counted_normal(1, {5, 3});
  const auto make = [](const std::vector<torch::Tensor>& w) {
    return std::make_unique<torch::optim::AdamW>(
        w, torch::optim::AdamWOptions(0.01).weight_decay(0.1));
  };
  const auto run = [&](int resume_at) {
    std::vector<torch::Tensor> w = {at::zeros({5, 3}).requires_grad_(true),
                                    at::ones({2}).requires_grad_(true)};
    auto optimizer = make(w);
    for (int i = 0; i < 30; ++i) {
      if (i == resume_at) {
        StateDict kept;
        for (const auto& [name, tensor] : adamw_state(*optimizer, {"a", "b"})) {
          kept[name] = tensor.clone();
        }
        optimizer = make(w);
        load_adamw_state(*optimizer, {"a", "b"}, kept);
      }
      optimizer->zero_grad();
      ((w[0] - target).square().sum() + w[1].square().sum()).backward();
      optimizer->step();
    }
    return at::cat({w[0].detach().flatten(), w[1].detach()});
  };
  const auto whole = run(-1);
  EXPECT_TRUE(at::equal(whole, run(0)));
  EXPECT_TRUE(at::equal(whole, run(13)));
}

TEST(AdamwState, RefusesMomentsOfAnotherShape) {
  std::vector<torch::Tensor> w = {at::zeros({2}).requires_grad_(true)};
  torch::optim::AdamW optimizer(w, torch::optim::AdamWOptions(0.1));
  EXPECT_THROW(load_adamw_state(optimizer, {"a"},
                                {{"a.exp_avg", at::zeros({3})},
                                 {"a.exp_avg_sq", at::zeros({3})},
                                 {"a.step", torch::tensor(int64_t{1})}}),
               Error);
}

TEST(AdamwState, MomentsOfSomeParametersOnlyAreRefused) {
  std::vector<torch::Tensor> w = {at::ones({2}).requires_grad_(true),
                                  at::ones({3}).requires_grad_(true)};
  torch::optim::AdamW optimizer(w, torch::optim::AdamWOptions(0.1));
  (w[0].sum() + w[1].sum()).backward();
  optimizer.step();
  const auto whole = adamw_state(optimizer, {"a", "b"});
  ASSERT_EQ(whole.size(), 6u);
  for (const auto& [name, tensor] : whole) {
    torch::optim::AdamW other(w, torch::optim::AdamWOptions(0.1));
    auto part = whole;
    part.erase(name);
    expect_parts(error_of([&] {
                   load_adamw_state(other, {"a", "b"}, part);
                 }),
                 {"[AdamW]", name.substr(0, 1), name.substr(2)});
  }
  auto more = whole;
  more["c.step"] = torch::tensor(int64_t{1});
  expect_parts(error_of([&] {
                 load_adamw_state(optimizer, {"a", "b"}, more);
               }),
               {"[AdamW]", "7"});
  load_adamw_state(optimizer, {"a", "b"}, {});
}

}  // namespace
}  // namespace rsm
