#include "rsm/worlds/shapes_soft_reward.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/random.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/rewards/testing.h"
#include "rsm/worlds/shapes_checker.h"
#include "rsm/worlds/shapes_reward.h"
#include "rsm/worlds/shapes_scorer.h"

namespace rsm::shapes {
namespace {

const std::string kShipped = std::string(RSM_SOURCE_DIR) + "/" + kScorerFolder;

ScorerConfig small() {
  ScorerConfig config;
  config.stem = 8;
  config.width = 8;
  config.blocks = 1;
  config.judge = 8;
  return config;
}

/** None of its parts is silent. */
Scorer random_scorer() {
  Scorer scorer(small(), 1);
  uint64_t index = 0;
  for (const auto& [name, weight] : scorer.weights()) {
    const auto seed = counted_seed(3, Purpose::bench, {index++});
    weight.add_(counted_normal(seed, weight.sizes()), 0.1);
  }
  return scorer;
}

/** Pictures of held-out captions, with noise, and other captions for half. */
TestPictures some_pictures(int64_t count, double noise = 0.1) {
  const auto data = captioned_images(21, 0, count, 0, Split::held_out);
  TestPictures out;
  out.images =
      ((data.images + 1) / 2 + noise * counted_normal(5, data.images.sizes()))
          .clamp(0, 1);
  for (int64_t i = 0; i < count; ++i) {
    const auto& text = data.captions[i % 2 == 0 ? i : (i + 7) % count];
    out.prompts.push_back({i, text, ""});
  }
  return out;
}

TEST(CaptionNumbers, TellAllCaptionsApart) {
  const auto all = caption_numbers(all_specs());
  EXPECT_EQ(all.size(1), kCaptionNumbers);
  EXPECT_EQ(std::get<0>(at::unique_dim(all, 0)).size(0), 780);
}

TEST(Scorer, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const auto scorer = random_scorer();
  scorer.save(folder / "scorer", at::kFloat);
  const auto read = Scorer::load(folder / "scorer");
  EXPECT_EQ(read.weights().size(), scorer.weights().size());
  for (const auto& [name, weight] : scorer.weights()) {
    EXPECT_TRUE(torch::equal(read.weights().at(name), weight)) << name;
  }
}

TEST(Scorer, SaysWhatIsWrongWithAFolder) {
  const TemporaryFolder folder;
  random_scorer().save(folder.path(), at::kFloat);
  const auto error = [&] {
    return error_of([&] { Scorer::load(folder.path()); });
  };
  auto weights = read_safetensors(folder / "model.safetensors").tensors;
  const auto judge = weights.at("judge.2.weight");
  weights["judge.2.weight"] = at::zeros({1, 9});
  write_safetensors(folder / "model.safetensors", weights);
  expect_parts(error(), {"model.safetensors", "judge.2.weight", "[1, 9]"});
  weights.erase("judge.2.weight");
  write_safetensors(folder / "model.safetensors", weights);
  expect_parts(error(), {"no \"judge.2.weight\""});
  weights["judge.2.weight"] = judge;
  weights["other"] = judge;
  write_safetensors(folder / "model.safetensors", weights);
  expect_parts(error(), {"\"other\""});
  auto config = read_json(folder / "config.json");
  config["width"] = 12;
  write_json_atomic(folder / "config.json", config);
  expect_parts(error(), {"config.json", "width is 12", "multiple of 8"});
}

TEST(ShapesSoft, ValueIsWhatValueOfGivesBesideTheExactChecker) {
  const TemporaryFolder folder;
  random_scorer().save(folder.path(), at::kFloat);
  const auto reward = make_soft_reward(folder.path());
  EXPECT_TRUE(reward->is_differentiable());
  const auto pictures = some_pictures(37);
  const auto scores = score(*reward, pictures);
  EXPECT_TRUE(torch::equal(
      scores.value,
      reward->value_of(pictures.images, pictures.prompts).detach()));
  EXPECT_GT(scores.value.min().item<float>(), 0);
  EXPECT_LT(scores.value.max().item<float>(), 1);
  EXPECT_GT(scores.value.std().item<float>(), 1e-4);
  const auto exact = score(*make_reward(), pictures).metrics;
  EXPECT_EQ(scores.metrics.size(), exact.size());
  for (const auto& [name, values] : exact) {
    EXPECT_TRUE(torch::equal(scores.metrics.at(name), values)) << name;
  }
  EXPECT_TRUE(exact.contains(reward->main_metric()));
}

TEST(ShapesSoft, GradientIsThatOfDifferences) {
  const TemporaryFolder folder;
  random_scorer().save(folder.path(), at::kFloat);
  const auto reward = make_soft_reward(folder.path());
  auto pictures = some_pictures(19);
  // Away from 0 and 1, where values are clipped.
  pictures.images = (pictures.images * 0.8 + 0.1).requires_grad_(true);
  const auto value = [&](const torch::Tensor& images) {
    return reward->value_of(images, pictures.prompts).to(at::kDouble).sum();
  };
  value(pictures.images).backward();
  const auto gradient = pictures.images.grad();
  const auto direction = gradient / gradient.norm();
  // float32 sums of thousands of products, over a step of 0.02 in all.
  constexpr double kStep = 1e-2;
  const torch::NoGradGuard no_grad;
  const double difference = ((value(pictures.images + kStep * direction) -
                              value(pictures.images - kStep * direction)) /
                             (2 * kStep))
                                .item<double>();
  EXPECT_GT(difference, 0);
  EXPECT_NEAR(difference / gradient.norm().item<double>(), 1, 0.01);
}

TEST(ShapesSoft, JudgesEachPictureAloneOnAnyNumberOfThreads) {
  const TemporaryFolder folder;
  random_scorer().save(folder.path(), at::kFloat);
  const auto reward = make_soft_reward(folder.path());
  const auto pictures = some_pictures(35);
  expect_each_picture_alone(*reward, pictures);
  const auto value = score(*reward, pictures).value;
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  EXPECT_TRUE(torch::equal(score(*reward, pictures).value, value));
  at::set_num_threads(before);
}

TEST(ShapesSoft, ShippedOneIsRightOfHeldOutRenders) {
  // 300 pictures with the right caption, 300 with a corrupted one of their
  // kind; where that is true of them by chance, the checker says so.
  const auto data = captioned_images(31, 0, 300, 0, Split::held_out);
  TestPictures pictures;
  pictures.images = (at::cat({data.images, data.images}) + 1) / 2;
  for (const bool right : {true, false}) {
    for (int64_t i = 0; i < 300; ++i) {
      std::string text = data.captions[i];
      Engine engine(counted_seed(4, Purpose::data, {uint64_t(i)}));
      const auto spec = parse_caption(text);
      const auto& specs = all_specs();
      for (auto wrong = spec; !right && text == data.captions[i];) {
        wrong = corrupt(spec, engine);
        const auto found = std::find(specs.begin(), specs.end(), wrong);
        if (found != specs.end()) text = caption(wrong);
      }
      pictures.prompts.push_back({i, text, ""});
    }
  }
  const auto scores = score(*make_soft_reward(kShipped), pictures);
  const auto strict = scores.metrics.at("strict") > 0.5;
  EXPECT_GT(strict.sum().item<int64_t>(), 290);
  EXPECT_LT(strict.sum().item<int64_t>(), 330);
  const auto agrees = (scores.value > 0.5) == strict;
  EXPECT_GE(agrees.to(at::kFloat).mean().item<double>(), 0.97);
}

TEST(ShapesSoft, RefusesWhatItCannotJudge) {
  const TemporaryFolder folder;
  random_scorer().save(folder.path(), at::kFloat);
  const auto reward = make_soft_reward(folder.path());
  const auto gray = torch::full({2, 3, 32, 32}, 0.5f);
  const Prompts prompts = {{0, "a circle", ""}, {1, "a cross", ""}};
  const auto error = [&](const torch::Tensor& images, const Prompts& asked) {
    return error_of([&] { reward->value_of(images, asked); });
  };
  expect_parts(error(gray.slice(2, 0, 16), prompts), {"[2, 3, 16, 32]"});
  expect_parts(error(gray, {prompts[0]}), {"2 images", "1 prompts"});
  expect_parts(error(gray, {prompts[0], {1, "a dog", ""}}), {"\"a dog\""});
  expect_parts(error_of([&] { reward->score(gray.to(at::kDouble), prompts); }),
               {"float32"});
  EXPECT_EQ(reward->value_of(torch::empty({0, 3, 32, 32}), {}).size(0), 0);
}

TEST(ShapesSoft, SaysThatItsFolderIsMissing) {
  const auto reward = make_soft_reward("no-such/folder");
  expect_parts(error_of([&] { reward->check(); }),
               {"shapes-soft", "no-such/folder", "rsm pretrain"});
}

}  // namespace
}  // namespace rsm::shapes
