#include "rsm/pretrain/scorer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/random.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/pretrain/scorer_data.h"
#include "rsm/worlds/shapes_checker.h"

namespace rsm {
namespace {

using shapes::Split;

/** Hears what is said, and stops the work at the so-many-th look. */
class Listener : public NoProgress {
 public:
  explicit Listener(int64_t last_look = 1 << 30) : last_look_(last_look) {}
  void begin(const std::string& task, int64_t) override {
    tasks.push_back(task);
  }
  void say(const std::string& line) override { said.push_back(line); }
  bool stopping() const override { return ++looks_ >= last_look_; }

  std::vector<std::string> tasks, said;

 private:
  int64_t last_look_;
  mutable int64_t looks_ = 0;
};

/** Renders alone, a small network, a second of training. */
ScorerOptions quick(const TemporaryFolder& folder, const std::string& name) {
  ScorerOptions options;
  options.run_folder = folder / name;
  options.model_folder = folder / name + "/final";
  options.network = {16, 16, 1, 16};
  options.sample_share = 0;
  options.calibration = 0;
  options.images = 1280;
  options.batch = 16;
  options.warmup = 160;
  options.save_every = 320;
  options.threads = 1;
  return options;
}

double loss_said(const std::string& line) {
  return std::stod(line.substr(line.find("loss ") + 5));
}

TEST(ScorerData, LabelsAreTheCheckersAndHeldOutCaptionsAreNotAsked) {
  const auto pictures = world_pictures(3, 0, 200, Split::train);
  const auto judged = judge(pictures, 4, 0, Split::train);
  const auto captions = judged.captions.accessor<int64_t, 2>();
  const auto labels = judged.labels.accessor<float, 2>();
  for (int64_t i = 0; i < 200; ++i) {
    const float* picture = pictures.images[i].const_data_ptr<float>();
    EXPECT_EQ(captions[i][0], pictures.own[i]);
    for (int64_t k = 0; k < kCaptionsEach; ++k) {
      const auto& spec = shapes::all_specs()[captions[i][k]];
      EXPECT_EQ(labels[i][k], shapes::check(picture, spec).strict ? 1 : 0);
      EXPECT_FALSE(shapes::held_out(spec));
    }
  }
  // True and false ones are about as many.
  EXPECT_NEAR(judged.labels.mean().item<double>(), 0.45, 0.1);
  const auto later = judge({pictures.images.slice(0, 50),
                            {pictures.own.begin() + 50, pictures.own.end()}},
                           4, 50, Split::train);
  EXPECT_TRUE(torch::equal(later.captions, judged.captions.slice(0, 50)));
}

TEST(ScorerData, MarksWhatStandsWhere) {
  // A red circle around (6, 10), a blue square around (25, 21).
  const auto image = shapes::render({{0, 0, 6, 10, 5}, {1, 2, 25, 21, 5}});
  const auto objects =
      judge({image.unsqueeze(0), {0}}, 1, 0, Split::all).objects[0];
  EXPECT_EQ(objects[0].sum().item<float>(), 2);
  // Cells are 4 pixels wide: (1.5, 2.5) and (6.25, 5.25) of them.
  EXPECT_EQ(objects[0][2][1].item<float>(), 1);
  EXPECT_NEAR(objects[3][2][1].item<float>(), 0, 0.05);
  EXPECT_EQ(objects[0][5][6].item<float>(), 1);
  EXPECT_EQ(objects[1][5][6].item<float>(), 1);
  EXPECT_EQ(objects[2][5][6].item<float>(), 2);
  EXPECT_NEAR(objects[3][5][6].item<float>(), -0.25, 0.05);
  EXPECT_NEAR(objects[4][5][6].item<float>(), -0.25, 0.05);
}

TEST(ScorerData, BalancedRendersAreTrueEveryOtherTime) {
  const auto judged = balanced_renders(8, 60, Split::held_out);
  for (int64_t i = 0; i < 60; ++i) {
    const auto picture = (judged.images[i] * 2 - 1).contiguous();
    const auto& spec =
        shapes::all_specs()[judged.captions[i][0].item<int64_t>()];
    EXPECT_TRUE(shapes::held_out(spec));
    EXPECT_EQ(judged.labels[i][0].item<float>(), i % 2 == 0 ? 1 : 0);
    EXPECT_EQ(shapes::check(picture.const_data_ptr<float>(), spec).strict,
              i % 2 == 0);
  }
}

TEST(ObjectLoss, IsNothingWhereAllIsKnownAndLessTowardsIt) {
  const auto image = shapes::render({{2, 5, 9, 9, 6}, {3, 1, 24, 24, 5}});
  const auto objects =
      judge({image.unsqueeze(0), {0}}, 1, 0, Split::all).objects;
  auto sure = at::full({1, shapes::kCellPlanes, shapes::kCells, shapes::kCells},
                       -40.0f);
  sure.select(1, 0).add_(80 * objects.select(1, 0));
  for (int64_t plane : {1, 2}) {
    const auto wanted = objects.select(1, plane).to(at::kLong);
    const int64_t first = plane == 1 ? 1 : 1 + shapes::kCellShapes;
    sure.scatter_(1, (wanted + first).unsqueeze(1), 40.0f);
  }
  sure.narrow(1, shapes::kCellPlanes - 2, 2).copy_(objects.narrow(1, 3, 2));
  EXPECT_NEAR(object_loss(sure, objects).item<double>(), 0, 1e-6);
  const double unsure = object_loss(sure * 0, objects).item<double>();
  // 64 cells at even odds, two shapes of five and two colours of nine, and
  // places that differ from the cells' middles.
  EXPECT_GT(unsure, 64 * std::log(2) + 2 * std::log(45) - 1e-3);
}

TEST(MeasureChances, IsThatOfTheDefinition) {
  const auto measure =
      measure_chances("x", torch::tensor({0.05, 0.05, 0.95, 1.0, 0.65}),
                      torch::tensor({0.0, 1.0, 1.0, 1.0, 0.0}));
  EXPECT_EQ(measure.count, 5);
  EXPECT_NEAR(measure.accuracy, 0.6, 1e-12);
  EXPECT_NEAR(measure.truth, 0.6, 1e-12);
  EXPECT_EQ(measure.bins[0].count, 2);
  EXPECT_EQ(measure.bins[9].count, 2);
  // float32 chances.
  EXPECT_NEAR(measure.bins[9].chance, 0.975, 1e-6);
  EXPECT_NEAR(measure.calibration_error, (2 * 0.45 + 2 * 0.025 + 1 * 0.65) / 5,
              1e-6);
}

TEST(LikeliestTemperature, FindsTheOneThatLabelsWereDrawnWith) {
  const auto logits = 6 * counted_normal(1, {20000});
  const auto chance = at::sigmoid(logits / 2.5);
  const auto uniform = at::special_ndtr(counted_normal(2, {20000}));
  const auto labels = (uniform < chance).to(at::kFloat);
  // Its standard error is about 0.04 with so many labels.
  EXPECT_NEAR(likeliest_temperature(logits, labels), 2.5, 0.15);
}

TEST(PretrainScorer, LearnsAndGoesOnAfterAStopAsIfThereHadBeenNone) {
  const TemporaryFolder folder;
  Listener whole, first(37), second;
  ASSERT_TRUE(pretrain_scorer(quick(folder, "whole"), whole));
  ASSERT_EQ(whole.said.size(), 4);
  EXPECT_LT(loss_said(whole.said.back()), 0.8 * loss_said(whole.said.front()));
  EXPECT_FALSE(pretrain_scorer(quick(folder, "parts"), first));
  EXPECT_FALSE(is_there(folder / "parts/final"));
  ASSERT_TRUE(pretrain_scorer(quick(folder, "parts"), second));
  expect_parts(second.said.front(), {"continuing after 592 images"});
  EXPECT_EQ(file_checksum(folder / "whole/final/model.safetensors"),
            file_checksum(folder / "parts/final/model.safetensors"));
}

TEST(DrawSamples, KeepsThemForTheSameRequestAlone) {
  const TemporaryFolder folder;
  const std::string model = std::string(RSM_SOURCE_DIR) + "/models/shapes-flow";
  const auto file = folder / "samples";
  Listener first, again, other;
  const auto drawn =
      draw_samples({{model, Split::train, 1, 6, 5}}, file, first);
  EXPECT_EQ(drawn.size(), 6);
  EXPECT_EQ(drawn.pictures.sizes(), (std::vector<int64_t>{6, 3, 32, 32}));
  const auto kept = draw_samples({{model, Split::train, 1, 6, 5}}, file, again);
  EXPECT_TRUE(again.tasks.empty());
  EXPECT_TRUE(torch::equal(kept.pictures, drawn.pictures));
  EXPECT_EQ(kept.own, drawn.own);
  const auto more = draw_samples(
      {{model, Split::train, 1, 6, 5}, {model, Split::held_out, 2, 6, 6}}, file,
      other);
  EXPECT_EQ(other.tasks.size(), 1);
  EXPECT_TRUE(torch::equal(more.pictures.slice(0, 0, 6), drawn.pictures));
  for (int64_t i = 0; i < 12; ++i) {
    EXPECT_EQ(shapes::held_out(shapes::all_specs()[more.own[i]]), i >= 6);
  }
}

}  // namespace
}  // namespace rsm
