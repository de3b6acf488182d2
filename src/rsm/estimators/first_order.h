#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/trajectory_gradients.h"

namespace rsm {

/** The states of trajectories that an epoch trains, rising, and the nodes whose
 * gradient each of them takes. */
struct TrainedStates {
  TrainedStates(const RolloutIndex& rollout, const GradientKnobs& knobs,
                uint64_t seed, int64_t epoch);

  PathNodes nodes;
  std::vector<int64_t> states, node_of_state;
  std::vector<int64_t> distinct;  ///< nodes, each once

  /** Of a node, among the distinct ones. */
  int64_t place_of(int64_t node) const;
};

/** A reward's gradient in x, for states of trajectories: each row's direction,
 * with what of its size depends on its step alone as its advantage
 * (GradientKnobs::discount and of_sum). */
class FirstOrder : public Estimator {
 public:
  FirstOrder(const Method& method, uint64_t seed, const GradientParts& parts);

  /** Throws rsm::Error where a gradient is not finite. */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;
  /** Those whose outputs are too far from where the loss pulls them
   * (GradientKnobs::reject_above). Source: Adjoint Matching's release, arXiv
   * 2409.08861. */
  void reject(const std::function<torch::Tensor()>& distances,
              Guidance& guidance) override;

  /** How guide() takes the gradients of the epoch that comes next. */
  GradientEpoch taking(int64_t epoch) const;

  StateDict state() const override;
  void load_state(const StateDict& state) override;

 private:
  Method method_;
  GradientKnobs knobs_;
  uint64_t seed_;
  GradientParts parts_;
  /** Numbers that go from epoch to epoch, of the knobs that are on:
   * "rejection", the running quantile of distances and of how many epochs it
   * is; "norm_clip", the bound. */
  std::map<std::string, std::vector<double>> kept_;
};

}  // namespace rsm
