#include "rsm/layers/activation_checkpointing.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/module.h>

#include <string>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/testing.h"
#include "rsm/layers/linear.h"

namespace rsm {
namespace {

torch::Tensor normal(uint64_t seed, at::IntArrayRef shape) {
  return counted_normal(seed, shape);
}

/** Two linear maps, the second with a LoRA, and an unused third. */
struct TwoMapsImpl : torch::nn::Module {
  TwoMapsImpl() {
    const torch::NoGradGuard no_grad;
    uint64_t seed = 10;
    for (auto* linear : {&first, &second, &idle}) {
      *linear = register_module(cat("linear", seed), Linear(4, 4));
      (*linear)->weight.copy_(normal(seed++, {4, 4}));
      (*linear)->bias.copy_(normal(seed++, {4}));
    }
    second->lora = {normal(20, {2, 4}).requires_grad_(true),
                    normal(21, {4, 2}).requires_grad_(true), 0.5, true};
  }

  Tensors operator()(const Tensors& in) {
    ++calls;
    graphs += at::GradMode::is_enabled() ? 1 : 0;
    const auto y = at::tanh(first(in[0]));
    return {second(y) * in[1], y + in[0]};
  }

  Linear first{nullptr}, second{nullptr}, idle{nullptr};
  std::atomic<int> calls = 0, graphs = 0;
};
TORCH_MODULE(TwoMaps);

using Run = std::function<Tensors(TwoMaps&, const Tensors&)>;

Tensors plain(TwoMaps& maps, const Tensors& in) { return (*maps)(in); }

Tensors again(TwoMaps& maps, const Tensors& in) {
  return checkpointed([&](const Tensors& x) { return (*maps)(x); }, in,
                      {maps.get()});
}

Tensors nested(TwoMaps& maps, const Tensors& in) {
  return checkpointed([&](const Tensors& x) { return again(maps, x); }, in,
                      {maps.get()});
}

Tensors inputs() {
  return {normal(1, {3, 4}).requires_grad_(true), normal(2, {3, 4})};
}

/** What is trained, and the first input. */
Tensors leaves(const TwoMaps& maps, const Tensors& in) {
  Tensors out = {in[0], maps->second->lora.down, maps->second->lora.up};
  for (const auto& parameter : maps->parameters()) {
    if (parameter.requires_grad()) out.push_back(parameter);
  }
  return out;
}

/** Outputs, then gradients to leaves(). */
Tensors outcome(const Run& run, TwoMaps& maps) {
  const auto in = inputs();
  auto out = run(maps, in);
  const auto gradients = torch::autograd::grad(
      {out[0], out[1]}, leaves(maps, in),
      {normal(3, {3, 4}), normal(4, {3, 4})},
      /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  out.insert(out.end(), gradients.begin(), gradients.end());
  return out;
}

void expect_same(const Tensors& found, const Tensors& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].defined(), wanted[i].defined()) << i;
    if (!found[i].defined()) continue;
    EXPECT_TRUE(found[i].equal(wanted[i])) << i;
  }
}

TEST(ActivationCheckpointing, GivesTheOutputsAndGradientsOfAPlainPass) {
  at::set_num_threads(1);
  for (const bool frozen : {false, true}) {
    TwoMaps maps;
    for (auto& parameter : maps->parameters()) {
      parameter.requires_grad_(!frozen);
    }
    const auto wanted = outcome(plain, maps);
    EXPECT_EQ(wanted.size(), frozen ? 5U : 11U);
    expect_same(outcome(again, maps), wanted);
    expect_same(outcome(nested, maps), wanted);
    for (const auto& leaf : leaves(maps, inputs())) {
      EXPECT_FALSE(leaf.grad().defined());  // returned, not accumulated
    }
  }
}

TEST(ActivationCheckpointing, IsWithoutEffectWhereALoraIsSwitchedOff) {
  TwoMaps maps;
  maps->second->lora.enabled = false;
  expect_same(outcome(again, maps), outcome(plain, maps));
}

TEST(ActivationCheckpointing, KeepsNoGraphUntilBackwardMakesOneAgain) {
  TwoMaps maps;
  const auto out = again(maps, inputs());
  EXPECT_EQ(maps->calls, 1);
  EXPECT_EQ(maps->graphs, 0);
  out[0].sum().backward();
  EXPECT_EQ(maps->calls, 2);
  EXPECT_EQ(maps->graphs, 1);
  const torch::NoGradGuard no_grad;
  again(maps, inputs());
  EXPECT_EQ(maps->calls, 3);
}

TEST(ActivationCheckpointing, ThreadsMayShareAModule) {
  TwoMaps maps;
  const auto wanted = outcome(plain, maps);
  std::vector<Tensors> found(4);
  std::vector<std::thread> threads;
  for (auto& one : found) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        one = outcome(again, maps);
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& one : found) {
    expect_same(one, wanted);
  }
}

TEST(ActivationCheckpointing, RefusesWhatWouldBeSilentlyWrong) {
  TwoMaps maps;
  const auto in = inputs();
  const auto out = again(maps, in);
  expect_parts(error_of([&] {
                 torch::autograd::grad({out[0].sum()}, {in[0]}, {},
                                       /*retain_graph=*/true,
                                       /*create_graph=*/true);
               }),
               {"[checkpointed]", "second derivative"});
  {
    const torch::NoGradGuard no_grad;
    maps->second->lora.up.add_(1);
  }
  EXPECT_ANY_THROW(torch::autograd::grad({out[0].sum()}, {in[0]}));
}

}  // namespace
}  // namespace rsm
