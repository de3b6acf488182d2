#include "rsm/base/random.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace rsm {
namespace {

// SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014).
uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

uint64_t counted_seed(uint64_t run_seed, Purpose purpose,
                      std::initializer_list<uint64_t> counters) {
  uint64_t seed = mix(mix(run_seed) ^ static_cast<uint64_t>(purpose));
  for (const uint64_t counter : counters) {
    seed = mix(seed ^ mix(counter));
  }
  return seed;
}

torch::Tensor counted_normal(uint64_t seed, at::IntArrayRef shape) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return torch::randn(shape, generator, torch::kFloat32);
}

double counted_uniform(uint64_t seed) {
  constexpr int kDropped = 11;  // of 64 bits; a double keeps 53
  return static_cast<double>(mix(seed) >> kDropped) * 0x1p-53;
}

std::vector<int64_t> counted_permutation(uint64_t seed, int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::mt19937_64 engine(seed);
  for (int64_t i = n - 1; i > 0; --i) {
    std::swap(order[i], order[engine() % static_cast<uint64_t>(i + 1)]);
  }
  return order;
}

std::vector<int64_t> counted_choice(uint64_t seed,
                                    const std::vector<double>& weights,
                                    int64_t count) {
  std::vector<double> sums(weights.size());
  std::partial_sum(weights.begin(), weights.end(), sums.begin());
  std::vector<int64_t> out;
  for (int64_t k = 0; k < count; ++k) {
    const double at =
        counted_uniform(seed ^ mix(static_cast<uint64_t>(k))) * sums.back();
    out.push_back(std::upper_bound(sums.begin(), sums.end(), at) -
                  sums.begin());
  }
  return out;
}

}  // namespace rsm
