#pragma once

#include <torch/optim/adamw.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/base/reward.h"
#include "rsm/io/folder_lock.h"
#include "rsm/io/run_log.h"
#include "rsm/objective/rows.h"
#include "rsm/rollouts/plan.h"
#include "rsm/runs/evaluation.h"
#include "rsm/runs/run_inputs.h"
#include "rsm/runs/run_options.h"
#include "rsm/runs/run_state.h"
#include "rsm/train/epoch_data.h"

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
  Condition conditions_of(const Prompts& prompts);
  /** The stations below, or nothing where one before the updates fails. */
  EpochData train_epoch();
  /** prompts -> rollout -> rewards */
  EpochData sample();
  /** rewards -> advantages */
  void compare(EpochData& data);
  /** The loss's own view of the states: y_old, y_ref, drift. */
  void weigh(EpochData& data);
  /** advantages -> guidance -> loss -> update */
  void update(EpochData& data);
  void one_update(EpochData& data, const std::vector<int64_t>& states,
                  bool first);
  /** States of the update that have a gradient: those with a live row of
   * advantage other than 0, or with a reference term. */
  std::vector<int64_t> states_that_matter(
      const EpochData& data, const UpdateWeights& weights,
      const std::vector<int64_t>& states) const;
  void optimiser_step(EpochData& data, std::vector<torch::Tensor> gradients);
  /** Counts and names an update whose gradient is not finite. Throws rsm::Error
   * where there were too many in a row. */
  void skip_update(EpochData& data,
                   const std::vector<torch::Tensor>& gradients);
  /** One step of the average towards the present weights. */
  void update_average();
  /** Evaluates, and adds that to the last line of the log. Returns its
   * warnings, which are there too. */
  std::vector<std::string> add_due_evaluation();
  /** The same at the start, before an epoch's line tells the warnings. */
  void evaluate_first();
  Evaluation evaluate_now(const std::string& samples);
  void add_evaluation(nlohmann::json& line, const Evaluation& evaluation) const;
  bool budget_is_spent() const;
  bool evaluation_is_due(double seconds_before) const;
  /** Of the epoch under way. */
  double learning_rate() const;

  RunOptions options_;
  Progress& progress_;
  FolderLock lock_;
  ImageModel model_;
  std::unique_ptr<Policy> policy_;
  std::unique_ptr<Reward> reward_;
  std::unique_ptr<torch::optim::AdamW> optimiser_;
  Prompts train_prompts_;
  Condition train_conditions_;
  EvaluationSet evaluation_set_;
  std::vector<double> times_, eval_times_;
  RolloutPlan plan_;
  Transitions transitions_;
  RunState state_;
  RunInputs inputs_;
  int64_t saved_epoch_ = -1;  ///< of the newest checkpoint
  std::unique_ptr<RunLog> log_;
};

}  // namespace rsm
