#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rsm/io/safetensors.h"
#include "rsm/runs/run_inputs.h"

namespace rsm {

/** What a run has used so far. */
struct Spent {
  int64_t images = 0;        ///< pictures sampled for training
  int64_t evaluations = 0;   ///< network evaluations for training, by sample
  int64_t updates = 0;       ///< optimiser steps
  double train_seconds = 0;  ///< evaluation and checkpoints apart
  double wall_seconds = 0;
};

/** Of the reference that pulls. */
struct ResetCount {
  int64_t count = 0;  ///< so far
  int64_t epoch = 0;  ///< epochs done at the last one
};

/** Everything a run needs to go on after `epoch` finished epochs. */
struct Checkpoint {
  int64_t epoch = 0;
  StateDict tensors;  ///< where it was read: views (view_safetensors)
  Spent spent;
  std::string machine;  ///< machine_fingerprint() of the writer

  std::string config;  ///< the run's resolved config
  RunInputs inputs;    ///< what the run rests on
  /** Files of the folder replay that it goes on with; none where it replays
   * nothing, or where an earlier version wrote it. */
  Checksums replay = {};
  std::vector<std::string> log = {};  ///< lines of log.jsonl so far
  bool evaluation_due = false;        ///< the last line lacks its evaluation
  /** Of the newest checkpoint that an epoch found near the reference. */
  int64_t healthy_epoch = 0;
  ResetCount resets = {};
  int64_t skipped_in_a_row = 0;  ///< updates without a finite gradient
};

/** Writes checkpoints/epoch-NNNNNN.safetensors, then its mark, a .json beside
 * it with all the rest, the SHA-256 of the tensors' file and one of itself;
 * then removes earlier ones but the one before and that of healthy_epoch. A
 * checkpoint without its mark was never finished. Throws rsm::Error naming the
 * file; what was there before stands then. */
void save_checkpoint(const std::string& run_folder,
                     const Checkpoint& checkpoint);

/** That of an epoch. Throws rsm::Error where it is none, or damaged. */
Checkpoint read_checkpoint(const std::string& run_folder, int64_t epoch);

/** The same checkpoint in another folder, which is made: its files by other
 * names where the file system has hard links, else copies. Throws rsm::Error
 * naming the file. */
void link_checkpoint(const std::string& run_folder, const std::string& to,
                     int64_t epoch);

/** Those that have a mark, the newest first. */
std::vector<int64_t> checkpoint_epochs(const std::string& run_folder);

/** The newest whole checkpoint, whose mark agrees with itself, its name and its
 * tensors; a damaged one is passed over, and named in `damaged` with the
 * reason. None where there is none. Throws rsm::Error for a mark of another
 * version. */
std::optional<Checkpoint> latest_checkpoint(
    const std::string& run_folder, std::vector<std::string>* damaged = nullptr);

/** Tidies up behind a run that goes on after `epoch`: what was passed over as
 * damaged is called *.damaged from now on, files without a mark are removed.
 * Returns sentences for people. */
std::vector<std::string> tidy_checkpoints(const std::string& run_folder,
                                          int64_t epoch);

/** The last epoch that any file there is called by; -1 for none. */
int64_t last_epoch_named(const std::string& run_folder);

}  // namespace rsm
