#pragma once

#include <torch/types.h>

#include <functional>
#include <utility>

namespace rsm {

/** Text conditions of a batch, as the networks take them: tokens [B,L,E] and
 * pooled [B,P], undefined for networks that take tokens alone. */
struct Condition {
  torch::Tensor tokens;
  torch::Tensor pooled;

  int64_t size() const { return tokens.size(0); }

  /** f of every tensor that is defined. */
  template <typename F>
  Condition map(const F& f) const {
    return {f(tokens), pooled.defined() ? f(pooled) : pooled};
  }
  Condition select(const torch::Tensor& index) const {
    return map(
        [&](const torch::Tensor& all) { return all.index_select(0, index); });
  }
  Condition to(torch::Device device) const {
    return map([&](const torch::Tensor& all) { return all.to(device); });
  }
};

/** The rows of `first`, then those of `second`. */
inline Condition joined(const Condition& first, const Condition& second) {
  return {at::cat({first.tokens, second.tokens}),
          first.pooled.defined() ? at::cat({first.pooled, second.pooled})
                                 : torch::Tensor()};
}

/** Conditions of the rows of a batch by number: one copy of each prompt's,
 * however many rows take it. Refers to what it is made of. */
class ConditionRows {
 public:
  /** Row b takes condition b. */
  ConditionRows(const Condition& each) : all_(each) {}  // NOLINT: meant to be
  /** Row b takes condition index[b]; int64 [B] on the CPU. */
  ConditionRows(const Condition& all, torch::Tensor index)
      : all_(all), index_(std::move(index)) {}

  /** Those of some rows, int64 [N] on the CPU. */
  Condition gathered(const torch::Tensor& rows) const {
    const auto index = index_.defined() ? index_.index_select(0, rows) : rows;
    return all_.select(index.to(all_.tokens.device()));
  }

 private:
  const Condition& all_;
  torch::Tensor index_;
};

/** A network with its parametrisation: x [B,C,H,W], t [B] in [0,1] (1 = noise)
 * and conditions -> y [B,C,H,W] float32 (velocity for flows, noise for
 * diffusion models), where x lies, whatever device computes. Row b of the
 * result depends on row b of the arguments alone. */
class Denoiser {
 public:
  virtual ~Denoiser() = default;
  virtual torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                                const ConditionRows& conditions) = 0;

  /** Given rows [first, first + count) and their outputs y [count,C,H,W], where
   * the network computes, returns dL/dy. Called from several threads, each row
   * once. */
  using OutputGradient = std::function<torch::Tensor(
      int64_t first, int64_t count, const torch::Tensor& y)>;

  /** dL/dx [B,C,H,W] float32, where x lies: what the outputs' gradient is in x,
   * through the network and not into its weights. Throws rsm::Error where there
   * is no gradient, as by default. */
  virtual torch::Tensor pull_back(const torch::Tensor& x,
                                  const torch::Tensor& t,
                                  const ConditionRows& conditions,
                                  const OutputGradient& output_gradient);
};

}  // namespace rsm
