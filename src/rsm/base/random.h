#pragma once

#include <torch/types.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace rsm {

/** What a random number is for. Part of every key, so that no two uses of the
 * same counters share numbers. Values are fixed: they are part of results. */
enum class Purpose : uint64_t {
  initial_noise = 1,
  step_noise = 2,
  prompt_order = 3,
  update_order = 4,
  lora_init = 5,
  evaluation = 6,
  data = 7,
  dropout = 8,
  model_init = 9,
  bench = 10,
  anchors = 11,
  watched_states = 12,
  trained_steps = 13,
  replay = 14,
  particles = 15,
  prompt_dropout = 16,
  forward_time = 17,
  forward_noise = 18,
  branch_choice = 24,
};

/** A counted seed: numbers depend on the counters alone (run seed, purpose,
 * epoch, prompt, member, step, ...), never on how work is grouped. */
uint64_t counted_seed(uint64_t run_seed, Purpose purpose,
                      std::initializer_list<uint64_t> counters);

/** Standard normal numbers of `shape`, float32 on the CPU (move them to any
 * device: every device sees the same numbers). */
torch::Tensor counted_normal(uint64_t seed, at::IntArrayRef shape);

/** A number from 0 to 1, without 1, each as likely. */
double counted_uniform(uint64_t seed);

/** A random permutation of 0..n-1. */
std::vector<int64_t> counted_permutation(uint64_t seed, int64_t n);

/** `count` indices of `weights` (0 or more, and not all 0), each drawn from all
 * of them, as likely as its weight says. */
std::vector<int64_t> counted_choice(uint64_t seed,
                                    const std::vector<double>& weights,
                                    int64_t count);

}  // namespace rsm
