#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "rsm/base/estimator.h"
#include "rsm/estimators/first_order.h"
#include "rsm/values/lesson.h"
#include "rsm/values/value_network.h"

namespace rsm {

/** A reward's gradient and beside it a value network's output, which learns
 * what the gradient lacks of the value's: its states' targets move by it, and
 * once an epoch, after the updates, it takes one step of its own loss, in which
 * it, policy and reference are as the epoch found them. With one update an
 * epoch this is what is published. Sources: VGG-Flow, arXiv 2512.05116;
 * Residual grad-DB, arXiv 2412.07775. */
class ValueGradient : public Estimator {
 public:
  /** `parts` are kept by reference to what they refer to. */
  ValueGradient(const Method& method, uint64_t seed, const GradientParts& parts,
                const ValueParts& network);

  /** Throws rsm::Error where a gradient or the network's loss is not finite. */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;
  void reject(const std::function<torch::Tensor()>& distances,
              Guidance& guidance) override {
    first_order_.reject(distances, guidance);
  }
  void learn(const Sampled& sampled, const Outputs& outputs) override;

  StateDict state() const override;
  void load_state(const StateDict& state) override;

  ValueNetwork& network() { return network_; }

 private:
  Method method_;
  GradientParts parts_;
  FirstOrder first_order_;
  ValueNetwork network_;
  std::optional<Lesson> lesson_;  ///< of the epoch that learn() ends
};

/** make_estimator() (estimators/estimators.h), also of methods whose estimator
 * has a network of its own. */
std::unique_ptr<Estimator> make_estimator(const Method& method, uint64_t seed,
                                          const GradientParts& parts,
                                          const ValueParts& network);

}  // namespace rsm
