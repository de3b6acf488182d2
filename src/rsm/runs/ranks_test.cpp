#include "rsm/runs/ranks.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <torch/cuda.h>

#include <algorithm>

#include "rsm/base/ranks_testing.h"
#include "rsm/io/testing.h"
#include "rsm/runs/testing.h"

namespace rsm {
namespace {

RunInputs some_inputs() {
  RunInputs out;
  out.model = "model";
  out.model_files = {{"config.json", "1a"}, {"weights.safetensors", "2b"}};
  out.prompts["prompts.train"] = {"prompts.txt", 3, "3c"};
  out.judges = {{"judge.py", "4d"}};
  return out;
}

/** What rank 0 of three says of the last, which has others. */
std::string said_of_last(const RunOptions& options, const RunInputs& inputs) {
  std::string out;
  ThreadRanks::run(3, [&](Communicator& ranks) {
    std::string said;
    try {
      const bool last = ranks.rank() == 2;
      check_same_run(ranks, last ? options : options_of({}),
                     last ? inputs : some_inputs());
    } catch (const Error& error) {
      said = error.what();
    }
    if (ranks.is_first()) out = said;
  });
  return out;
}

TEST(SameRun, IsOfOneConfigAndOfFilesOfTheSameContents) {
  auto own = options_of({"compute.threads=1"});
  auto inputs = some_inputs();
  inputs.model_place = "/elsewhere";
  EXPECT_EQ(said_of_last(own, inputs), "");
  own = options_of({"prompts.per_epoch=7"});
  expect_parts(said_of_last(own, inputs),
               {"[ranks] rank 2", "config", "prompts.per_epoch is", "7 there"});
}

TEST(SameRun, NamesTheFileThatAnotherRankHas) {
  const auto changed = [](const auto& change) {
    auto inputs = some_inputs();
    change(inputs);
    return said_of_last(options_of({}), inputs);
  };
  expect_parts(
      changed([](auto& i) { i.model_files["weights.safetensors"] = "other"; }),
      {"[ranks] rank 2", "inputs", "weights.safetensors", "2b", "other"});
  expect_parts(
      changed([](auto& i) { i.prompts["prompts.train"].sha256 = "x"; }),
      {"[ranks] rank 2", "inputs", "prompts.train", "3c"});
  expect_parts(changed([](auto& i) { i.judges.clear(); }),
               {"[ranks] rank 2", "inputs", "judge.py", "nothing there"});
  expect_parts(changed([](auto& i) {
                 i.lora = "own";
                 i.lora_files["lora.safetensors"] = "5e";
               }),
               {"[ranks] rank 2", "inputs", "lora is", "own"});
}

TEST(SameWeights, AreThoseOfRank0ToTheBit) {
  ThreadRanks::run(2, [](Communicator& ranks) {
    std::vector<torch::Tensor> weights = {at::ones({2, 3}), at::zeros({4})};
    check_same_weights(ranks, 3, weights);
    const auto said = [&](const std::vector<torch::Tensor>& own) {
      return error_of([&] {
        check_same_weights(ranks, 3, ranks.is_first() ? weights : own);
      });
    };
    auto near = weights;
    near[1] = weights[1].clone();
    near[1][2] = 1e-30;
    expect_parts(said(near), {"[ranks]", "epoch 3", "rank 1", "rank 0"});
    // The same numbers in other tensors.
    expect_parts(said({weights[1], weights[0]}), {"epoch 3", "rank 1"});
  });
}

/** The cores that this thread may use. */
std::vector<int> own_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> out;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) out.push_back(core);
  }
  return out;
}

TEST(ThreadsOfRank, ShareTheCoresOfTheirMachineHoweverTheyAreBound) {
  const auto cores = own_cores();
  const auto count = std::ssize(cores);
  for (const int64_t size : {1, 2, 3}) {
    for (const bool bound : {false, true}) {
      ThreadRanks::run(size, [&](Communicator& ranks) {
        if (bound) {  // as by mpirun: all of them to some of the cores
          cpu_set_t set;
          CPU_ZERO(&set);
          for (int64_t i = ranks.rank(); i < count; i += size) {
            CPU_SET(cores[i], &set);
          }
          if (ranks.rank() < count) sched_setaffinity(0, sizeof set, &set);
        }
        EXPECT_EQ(threads_of_rank(ranks), std::max<int64_t>(1, count / size));
      });
    }
  }
}

/** The last of four, which are two a machine. */
class LastOfFour : public Communicator {
 public:
  int64_t rank() const override { return 3; }
  int64_t size() const override { return 4; }
  int64_t local_rank() const override { return 1; }
  int64_t local_size() const override { return 2; }
};

TEST(DeviceOfRank, IsTheGpuOfItsNumberOnItsMachine) {
  const LastOfFour last;
  const Communicator sole;
  const torch::Device any("cuda"), named("cuda:0"), cpu("cpu");
  EXPECT_EQ(device_of_rank(sole, any), any);
  EXPECT_EQ(device_of_rank(last, cpu), cpu);
  EXPECT_EQ(device_of_rank(last, named), named);
  const auto gpus = static_cast<int64_t>(torch::cuda::device_count());
  const auto own = device_of_rank(last, any);
  EXPECT_EQ(own, gpus == 0 ? any
                           : torch::Device(torch::kCUDA,
                                           static_cast<int8_t>(1 % gpus)));
  // And of the judges those that would share it.
  RunOptions options;
  options.device = any;
  options.rewards.resize(2);
  options.rewards[0].device = "cuda";
  options.rewards[1].device = "cpu";
  take_devices(last, options);
  EXPECT_EQ(options.device, own);
  EXPECT_EQ(options.rewards[0].device, own.str());
  EXPECT_EQ(options.rewards[1].device, "cpu");
}

}  // namespace
}  // namespace rsm
