#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/conditioner.h"
#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/rollouts/plan.h"
#include "rsm/runs/run_inputs.h"

namespace rsm {

/** The trajectories of past epochs, in host memory and, an epoch a file, in
 * the folder `replay` of a run, which goes on from there. */
class Replay {
 public:
  /** Holds GradientKnobs::replay epochs beside the present one; 0: none, and
   * no file. */
  Replay(const std::string& run_folder, const GradientKnobs& knobs)
      : folder_(run_folder + "/replay"), knobs_(knobs) {}

  bool is_on() const { return knobs_.replay > 0; }

  /** What a run at this epoch goes on with: its files' SHA-256, for a
   * checkpoint. */
  Checksums files(int64_t epoch) const;

  /** Reads what a run at this epoch holds, the epochs before it. Throws
   * rsm::Error naming a file that is missing, not whole, or another than the
   * checkpoint `says`; one that says nothing is of an earlier version. */
  void load(int64_t epoch, const Checksums& says);

  /** From now on other processes write the files, and this one none. */
  void leave_writing() { writes_ = false; }

  /** As many trajectories as `fresh`, the epoch's own, has: drawn by `seed`
   * from them and all that are held, as the knobs say. Keeps `fresh`, and
   * writes its file. An epoch that is taken again gives the same. */
  Sampled mixed(const Sampled& fresh, int64_t epoch, uint64_t seed,
                const RolloutPlan& plan, const Conditioner& conditioner);

  /** Copies what a run at this epoch holds from the folder of another run.
   * Throws rsm::Error naming a file that is missing there, or another than the
   * checkpoint says. */
  void copy_from(const std::string& run_folder, int64_t epoch,
                 const Checksums& says) const;

  /** Removes files that no run needs which goes on from this epoch or a later
   * one. */
  void remove_before(int64_t epoch) const;

 private:
  /** An epoch's trajectories. */
  struct Epoch {
    Prompts prompts;  ///< [R] one a trajectory
    StateDict tensors;
    std::string sha256 = {};  ///< of its file
  };

  /** One that is held: its number in its epoch. */
  using Trajectory = std::pair<const Epoch*, int64_t>;

  static Epoch kept(const Sampled& sampled);
  void write(int64_t epoch, Epoch& kept) const;
  /** Those that an epoch may train. */
  std::vector<Trajectory> trained_at(int64_t epoch) const;
  std::vector<Trajectory> drawn(int64_t epoch, int64_t count,
                                uint64_t seed) const;
  int64_t first_held_at(int64_t epoch) const {
    return std::max<int64_t>(0, epoch - knobs_.replay);
  }
  std::string path_of(int64_t epoch) const;

  std::string folder_;
  GradientKnobs knobs_;
  bool writes_ = true;
  std::map<int64_t, Epoch> held_;
};

}  // namespace rsm
