#pragma once

#include <torch/optim/adamw.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/io/run_log.h"
#include "rsm/objective/rows.h"
#include "rsm/rollouts/plan.h"
#include "rsm/runs/replay.h"
#include "rsm/runs/run_options.h"
#include "rsm/runs/run_parts.h"
#include "rsm/runs/run_state.h"
#include "rsm/runs/tensorboard.h"
#include "rsm/train/branch_choice.h"
#include "rsm/train/collector.h"
#include "rsm/train/epoch.h"

namespace rsm {

/** A fine-tuning run: epochs of prompts -> rollout -> rewards -> advantages ->
 * loss -> update -> log. The run folder holds config.yaml, run.json, log.jsonl,
 * checkpoints/, samples/ and, in the end, final/. Making a run of a folder that
 * has checkpoints continues it, with the same numbers as if it had never
 * stopped. */
class Finetune {
 public:
  /** Loads everything and evaluates the model as it is (or reads where a run
   * before stopped). Throws rsm::Error where something is missing, another
   * process has the folder, or it holds a run that can't go on so: see
   * find_start (runs/run_start.h). */
  Finetune(const RunOptions& options, Progress& progress);
  /** The same of parts that are loaded, or made otherwise. */
  Finetune(const RunOptions& options, RunParts parts, Progress& progress);
  ~Finetune();

  bool finished() const;
  int64_t epoch() const { return state_.epoch; }
  const Spent& spent() const { return state_.spent; }

  /** One epoch. Saves and evaluates where the config says so, in this order:
   * an evaluation that fails or is stopped costs no epoch and comes first when
   * the run goes on. Returns the line that went to log.jsonl. Throws
   * Interrupted where the progress asked to stop; the run then stands between
   * two epochs and can be saved. An epoch whose updates began is finished. */
  nlohmann::json run_epoch();

  /** Writes what was learnt (`final/`) and marks the run as finished. */
  void finish();

  /** Saves a checkpoint now, between two epochs; nothing where it is there. */
  void save();

 private:
  void start_or_continue();
  void continue_from(const Checkpoint& checkpoint);
  /** Draws the grid of samples of an epoch again where it is lost, as the
   * average is now, and says so. Where that fails, the run goes on without. */
  void redraw(const std::string& samples, int64_t epoch);
  /** run.json */
  void describe(bool finished) const;

  /** The stations below, or nothing where one before the updates fails. Returns
   * the epoch's line of the log, but for its counters. */
  nlohmann::json train_epoch();
  Collector collector(const RolloutPlan& plan) const;
  /** Where it is time to choose branches: how many from this epoch on. */
  void choose();
  /** Adds the branches, and why they are so many, to the log's by step. */
  void log_choice(Guidance& guidance) const;
  /** The branches as they were chosen before a run goes on, by its log. */
  void continue_branches();
  /** The branches of rollouts from now on, in run.json too. */
  void set_branches(std::vector<int64_t> branches);
  /** prompts -> rollout -> rewards; some of epochs before, where the method
   * replays them. */
  Collected collect();
  /** rewards -> guidance. Where that fails, pictures wait to be judged. */
  Guidance guide(const Collected& sampled);
  /** What frozen copies say at the states: y_old, what pulls, drift. */
  Frozen freeze(const Collected& sampled, const Guidance& guidance);
  /** The same; where it is stopped, pictures wait to be judged again. */
  Frozen freeze_or_keep(const Collected& sampled, const Guidance& guidance);
  /** guidance -> loss -> update */
  UpdateLog update(const Prepared& epoch);
  /** After an epoch's updates: the reference that pulls becomes the policy
   * where the method says so; adds to the line of the log. */
  void reset_reference(const Frozen& frozen, nlohmann::json& line);
  /** Of the weighted mean over some states' rows and pulls. */
  std::vector<torch::Tensor> gradients_of(const Prepared& epoch,
                                          const UpdateWeights& weights,
                                          const std::vector<int64_t>& states,
                                          UpdateLog& log);
  /** An update of the weights, or none where a gradient is not finite. */
  void step(std::vector<torch::Tensor> gradients, const Prepared& epoch,
            UpdateLog& log);
  /** Counts and names an update whose gradient is not finite. Throws rsm::Error
   * where there were too many in a row. */
  void skip(const std::vector<torch::Tensor>& gradients, const Prepared& epoch,
            UpdateLog& log);

  /** Evaluates, and adds that to the last line of the log. Returns its
   * warnings, which are there too. */
  std::vector<std::string> add_due_evaluation();
  /** The same at the start, before an epoch's line tells the warnings. */
  void evaluate_first();
  Evaluation evaluate_now(const std::string& samples);
  void add_evaluation(nlohmann::json& line, const Evaluation& evaluation) const;
  /** Adds to the last line of the log what the watchdog says of its evaluation
   * (runs/watch.h), and whether that ends the run; returns the words. */
  std::string add_watch();
  /** best/ becomes that of the log so far; where it can't, the run goes on. */
  void settle_best();
  /** The event file follows the log; where it can't, the run goes on. */
  void show_log();
  /** Whether the watchdog ended the run after the last epoch. */
  bool was_stopped() const;
  /** The rollout copy becomes what epochs are drawn from. */
  void sample_as_trained();
  bool budget_is_spent() const;
  bool evaluation_is_due(double seconds_before) const;

  RunOptions options_;
  Progress& progress_;
  RunParts parts_;  ///< but for the model's network, which the policy has
  std::unique_ptr<Policy> policy_;
  Condition empty_prompt_;                   ///< where the method drops prompts
  std::unique_ptr<GuidedNetwork> unguided_;  ///< null: no estimator asks it
  std::unique_ptr<GuidedNetwork> predictor_;  ///< the same
  std::unique_ptr<Estimator> estimator_;
  std::unique_ptr<torch::optim::AdamW> optimiser_;
  std::vector<double> eval_times_;
  RolloutPlan plan_;
  BranchChoice choice_;  ///< of this epoch; empty: none was made
  /** Of the config, where the method chooses its own. */
  std::vector<int64_t> configured_branches_;
  Replay replay_;
  Transitions transitions_;
  std::unique_ptr<Denoiser> scaled_residual_;  ///< null: not sampled by one
  RunState state_;
  int64_t saved_epoch_ = -1;  ///< of the newest checkpoint
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<TensorBoard> tensorboard_;  ///< null: not asked for
};

}  // namespace rsm
