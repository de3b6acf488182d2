// That training raises the reward, and that it can be seen.

#include <gtest/gtest.h>

#include "rsm/base/testing.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/testing.h"
#include "rsm/report/report.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

class GainOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(GainOn);

/** Not blank: more than one colour. */
bool has_content(const std::string& path) {
  const auto image = read_png(path).to(torch::kFloat);
  return image.std().item<double>() > 1;
}

TEST_P(GainOn, RaisesARewardFarBeyondItsErrorAndShowsIt) {
  // The demo, hurried, towards brightness: what a checker of shapes gains in
  // seconds drowns in the differences between seeds.
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto log = run_to_end(read_run_options(Config::load(
      "configs/shapes/demo.yaml",
      on_device({"folder=" + run,
                 "reward=exec:python3 docs/examples/exec_reward.py",
                 "sampling.size=16", "prompts.per_epoch=12",
                 "evaluation.images=48", "evaluation.every=8", "train.epochs=8",
                 "train.lr=0.0005", "train.lr_schedule=constant",
                 "train.ema_decay=0.8", "method.regularisation.beta=0.1"}))));
  const double gain = log.back()["eval_reward"].get<double>() -
                      log.front()["eval_reward"].get<double>();
  const double error = log.back()["eval"]["change_errors"]["reward"];
  EXPECT_GT(gain, 5 * error);
  report::write_report(run);
  EXPECT_GT(read_file(run + "/report.html").size(), 20000u);
  EXPECT_TRUE(has_content(run + "/samples/before.png"));
  EXPECT_TRUE(has_content(run + "/samples/after.png"));
}

}  // namespace
}  // namespace rsm
