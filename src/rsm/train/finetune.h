#pragma once

#include <torch/optim/adamw.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/communicator.h"
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
 * stopped. Several ranks make the same calls each; rank 0 writes. */
class Finetune {
 public:
  /** Loads everything and evaluates the model as it is (or reads where a run
   * before stopped). Throws rsm::Error where something is missing, another
   * process has the folder, or it holds a run that can't go on so: see
   * find_start (runs/run_start.h). */
  Finetune(const RunOptions& options, Progress& progress,
           Communicator* ranks = nullptr);
  /** The same of parts that are loaded, or made otherwise. */
  Finetune(const RunOptions& options, RunParts parts, Progress& progress,
           Communicator* ranks = nullptr);
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

  /** Throws Interrupted on all ranks where one is to stop. */
  void stop_point();

  /** Writes what was learnt (`final/`) and marks the run as finished. */
  void finish();

  /** Saves a checkpoint now, between two epochs; nothing where it is there. */
  void save();

 private:
  void start_or_continue();
  void continue_from(const Checkpoint& checkpoint);
  /** Draws an epoch's grid of samples again, as the average is now, if lost. */
  void redraw(const std::string& samples, int64_t epoch);
  void write_config() const;           ///< config.yaml
  void describe(bool finished) const;  ///< run.json

  /** The stations below, or nothing where one before the updates fails: the
   * epoch's line of the log, but for its counters. */
  nlohmann::json train_epoch();
  Collector collector(const RolloutPlan& plan);
  void choose();  ///< how many branches from now on, where it is time
  /** Adds them, and why they are so many, to the log's by step. */
  void log_choice(Guidance& guidance) const;
  void continue_branches();  ///< those chosen before, by the log
  /** Of rollouts from now on, in run.json too. */
  void set_branches(std::vector<int64_t> branches, std::vector<double> weights);
  /** prompts -> rollout -> rewards; replayed ones, where the method does so. */
  Collected collect();
  Guidance guide(const Collected& sampled);  ///< rewards -> guidance
  /** What frozen copies say at the states: y_old, what pulls, drift. */
  Frozen freeze(const Collected& sampled, const Guidance& guidance);
  /** guidance -> updates -> line. A stop before the first one keep()s. */
  nlohmann::json train_on(const Collected& sampled, Guidance& guidance);
  void keep(const Collected& sampled);      ///< pictures, to be judged again
  UpdateLog update(const Prepared& epoch);  ///< guidance -> loss -> update
  /** After updates: what pulls becomes the policy where the method says so. */
  void reset_reference(const Frozen& frozen, nlohmann::json& line);
  /** Of the weighted mean over some states' rows and pulls. */
  std::vector<torch::Tensor> gradients_of(const Prepared& epoch,
                                          const UpdateWeights& weights,
                                          const std::vector<int64_t>& states,
                                          UpdateLog& log);
  /** An update of the weights, or none where a gradient is not finite. */
  void step(std::vector<torch::Tensor> gradients, const Prepared& epoch,
            UpdateLog& log);
  /** Counts and names one that is not finite; throws for many in a row. */
  void skip(const std::vector<torch::Tensor>& gradients, const Prepared& epoch,
            UpdateLog& log);

  /** Adds an evaluation to the log's last line; returns its warnings. */
  std::vector<std::string> add_due_evaluation();
  void evaluate_first();  ///< the same at the start; says its warnings
  Evaluation evaluate_now(const std::string& samples);
  void add_evaluation(nlohmann::json& line, const Evaluation& evaluation) const;
  /** Adds what the watchdog says, and whether it ends the run; returns it. */
  std::string add_watch();
  /** best/ becomes that of the log so far; where it can't, the run goes on. */
  void settle_best();
  void show_log();           ///< TensorBoard's file follows the log
  bool was_stopped() const;  ///< by the watchdog, after the last epoch
  void sample_as_trained();  ///< the rollout copy is what epochs draw from
  /** Rank 0's line of the log, clocks and all. */
  nlohmann::json said_by_first(const nlohmann::json& line);
  /** Work on a rank's own prompts, by networks that are not shared. */
  void apart(const std::function<void()>& work);
  bool budget_is_spent() const;
  bool evaluation_is_due(double seconds_before) const;

  RunOptions options_;
  Progress& progress_;
  Communicator sole_;
  Communicator& ranks_;
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
