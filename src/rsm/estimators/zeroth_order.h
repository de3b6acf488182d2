#pragma once

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/gate.h"
#include "rsm/estimators/prompt_statistics.h"

namespace rsm {

/** Rewards times noise: each row's direction is its own step's noise, weighted
 * by its advantage over the rows of its group (advantages.h), or by that of its
 * return (soft_return.h), and by how its picture differs from theirs
 * (diversity.h). Keeps the prompts' statistics of a running baseline, and what
 * a gate remembers of epochs. */
class ZerothOrder : public Estimator {
 public:
  ZerothOrder(const Method& method, uint64_t seed);

  Guidance guide(const Sampled& sampled, int64_t epoch) override;
  StateDict state() const override;
  void load_state(const StateDict& state) override;

 protected:
  const Method& method() const { return method_; }

 private:
  Method method_;
  uint64_t seed_;
  PromptStatistics statistics_;
  Gate gate_;
};

}  // namespace rsm
