#include "rsm/models/network.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <thread>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

/** Both networks, every parameter normal. */
std::vector<Network> networks(torch::ScalarType type, torch::Device device) {
  const Network sd3 = random_sd3().ptr(), unet = random_unet().ptr();
  return {copy_of(sd3, type, device), copy_of(unet, type, device)};
}

/** The output, then gradients to `trained`. */
std::vector<torch::Tensor> outcome(const Network& network,
                                   const std::vector<torch::Tensor>& trained) {
  at::set_num_threads(1);
  const auto like = trained[0].options().dtype(at::kFloat);
  const auto x = test_normal(1, {2, 3, 8, 8}).to(like);
  const Condition condition = {test_normal(2, {2, 5, 10}).to(like),
                               test_normal(3, {2, 12}).to(like)};
  const auto y =
      network->predict(x, at::tensor({0.9F, 0.3F}).to(like), condition);
  const auto seed = test_normal(4, y.sizes()).to(y.options());
  auto out = torch::autograd::grad({y}, trained, {seed});
  out.push_back(y.detach());
  return out;
}

class NetworkOn : public OnDevice {
 protected:
  /** Fails where checkpointing changes a bit, in one thread or two; with a
   * tolerance, by what rounding can't explain. */
  void expect_checkpointing_changes_nothing(
      const Network& network, const std::vector<torch::Tensor>& trained,
      double tolerance = 0) {
    const auto wanted = outcome(network, trained);
    network->set_activation_checkpointing(true);
    std::vector<std::vector<torch::Tensor>> found(2);
    std::thread other([&] { found[1] = outcome(network, trained); });
    found[0] = outcome(network, trained);
    other.join();
    for (const auto& one : found) {
      ASSERT_EQ(one.size(), wanted.size());
      for (size_t i = 0; i < one.size(); ++i) {
        if (tolerance > 0) {
          EXPECT_LE((one[i] - wanted[i]).norm().item<double>(),
                    tolerance * wanted[i].norm().item<double>())
              << i;
        } else if (repeats_its_bits()) {
          EXPECT_TRUE(one[i].equal(wanted[i])) << i;
        } else {
          EXPECT_TRUE(at::allclose(one[i], wanted[i], 1e-2, 1e-4)) << i;
        }
      }
    }
  }
};
RSM_ON_EVERY_DEVICE(NetworkOn);

TEST_P(NetworkOn, CheckpointingChangesNoBitWhereAllWeightsAreTrained) {
  for (const auto& network : networks(at::kFloat, device())) {
    SCOPED_TRACE(network->part());
    expect_checkpointing_changes_nothing(network, network->parameters());
  }
}

TEST_P(NetworkOn, CheckpointingChangesNoBitOfALorasGradients) {
  LoraConfig all = small_lora(), some = small_lora();
  all.targets = {kAllLinear};
  some.targets = {"to_q", "to_v"};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto& network : networks(type, device())) {
      LoraConfig convolutions = small_lora();
      convolutions.targets = {"pos_embed.proj"};
      if (network->part() == "unet") {
        convolutions.targets = {"proj_in", "conv1", "conv_shortcut"};
      }
      for (const auto& config : {all, some, convolutions}) {
        SCOPED_TRACE(
            cat(network->part(), " ", toString(type), " ", config.targets[0]));
        LoraAdapter adapter(*network, config, 3);
        randomise(adapter, 5);
        const auto trained = adapter.parameters();
        EXPECT_EQ(trained[0].scalar_type(), at::kFloat);
        network->set_activation_checkpointing(false);
        // Backward of a convolution takes a kernel by how its input lies.
        const bool last_bits = config.targets == convolutions.targets;
        expect_checkpointing_changes_nothing(
            network, trained,
            !last_bits ? 0 : (type == at::kFloat ? 1e-5 : 2e-2));
      }
    }
  }
}

}  // namespace
}  // namespace rsm
