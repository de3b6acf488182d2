#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "rsm/base/conditioner.h"
#include "rsm/base/estimator.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** The trajectories of past epochs, in host memory and, an epoch a file, in
 * the folder `replay` of a run, which goes on from there. */
class Replay {
 public:
  /** Holds so many epochs beside the present one; 0: none, and no file. */
  Replay(const std::string& run_folder, int64_t epochs)
      : folder_(run_folder + "/replay"), epochs_(epochs) {}

  bool is_on() const { return epochs_ > 0; }

  /** Reads what a run at this epoch holds, the epochs before it. Throws
   * rsm::Error naming a file that is missing or not whole. */
  void load(int64_t epoch);

  /** As many trajectories as `fresh`, the epoch's own, has: drawn from them and
   * all that are held, each as likely, by `seed`. Keeps `fresh`, and writes its
   * file. An epoch that is taken again gives the same. */
  Sampled mixed(const Sampled& fresh, int64_t epoch, uint64_t seed,
                const RolloutPlan& plan, const Conditioner& conditioner);

  /** Removes files that no run needs which goes on from this epoch or a later
   * one. */
  void remove_before(int64_t epoch) const;

 private:
  /** An epoch's trajectories. */
  struct Epoch {
    Prompts prompts;  ///< [R] one a trajectory
    StateDict tensors;
  };

  static Epoch kept(const Sampled& sampled);
  void write(int64_t epoch, const Epoch& kept) const;
  std::string path_of(int64_t epoch) const;

  std::string folder_;
  int64_t epochs_;
  std::map<int64_t, Epoch> held_;
};

}  // namespace rsm
