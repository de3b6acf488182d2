#include "rsm/worlds/shapes_reward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "rsm/base/random.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/worlds/shapes_checker.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm::shapes {
namespace {

Prompts prompts_of(const std::vector<std::string>& captions) {
  Prompts prompts;
  for (const auto& text : captions) {
    prompts.push_back({std::ssize(prompts), text, ""});
  }
  return prompts;
}

torch::Tensor to_unit(const torch::Tensor& images) { return (images + 1) / 2; }

double texture(const torch::Tensor& image) {
  return background_texture(image.const_data_ptr<float>());
}

TEST(ShapesChecker, AgreesWithTheNumpyCheckerExactly) {
  const TemporaryFolder folder;
  run_python("shapes_peer.py", "verdicts " + folder / "verdicts");
  const SafetensorsFile file = read_safetensors(folder / "verdicts");
  const torch::Tensor images = file.tensors.at("images");
  const auto scores = file.tensors.at("scores").accessor<double, 2>();
  const auto found = file.tensors.at("found").accessor<int64_t, 1>();
  const auto detections = file.tensors.at("detections").accessor<double, 2>();
  std::istringstream captions(file.metadata.at("captions"));
  int64_t detection = 0;
  int64_t strict = 0;
  for (int64_t i = 0; i < images.size(0); ++i) {
    std::string text;
    std::getline(captions, text);
    const float* image = images[i].const_data_ptr<float>();
    const Verdict verdict = check(image, parse_caption(text));
    EXPECT_EQ(verdict.graded, scores[i][0]) << "image " << i << ": " << text;
    EXPECT_EQ(verdict.strict, scores[i][1] == 1) << "image " << i;
    strict += verdict.strict ? 1 : 0;
    const auto detected = detect(image);
    ASSERT_EQ(std::ssize(detected), found[i]) << "image " << i;
    for (const Detected& object : detected) {
      const auto expected = detections[detection++];
      EXPECT_EQ(object.shape, expected[0]) << "image " << i;
      EXPECT_EQ(object.color, expected[1]) << "image " << i;
      EXPECT_EQ(object.cx, expected[2]) << "image " << i;
      EXPECT_EQ(object.cy, expected[3]) << "image " << i;
      EXPECT_EQ(object.area, expected[4]) << "image " << i;
    }
  }
  EXPECT_EQ(images.size(0), 2560);
  // The kinds of pictures must have something to say either way.
  EXPECT_GT(strict, 300);
  EXPECT_LT(strict, 1600);
}

TEST(ShapesChecker, PassesTrueRenders) {
  const auto data = captioned_images(11, 0, 3000, 0);
  const auto scores =
      make_reward()->score(to_unit(data.images), prompts_of(data.captions));
  const torch::Tensor strict = scores.metrics.at("strict");
  // Two circles in ten thousand pictures fill so much of their bounding box
  // that they pass for squares; nothing else goes wrong.
  EXPECT_GE(strict.sum().item<double>(), 2997);
  for (int64_t i = 0; i < strict.size(0); ++i) {
    EXPECT_TRUE(strict[i].item<float>() == 1 ||
                data.captions[i].find("circle") != std::string::npos)
        << data.captions[i];
  }
  EXPECT_TRUE(torch::equal(strict == 1, scores.value == 1));
  EXPECT_EQ(scores.metrics.at("texture").max().item<double>(), 0);
}

TEST(ShapesChecker, FailsPicturesOfOtherCaptions) {
  const auto data = captioned_images(11, 0, 1000, 0);
  auto captions = data.captions;
  std::rotate(captions.begin(), captions.begin() + 1, captions.end());
  const auto scores =
      make_reward()->score(to_unit(data.images), prompts_of(captions));
  // By chance some other caption is also true.
  EXPECT_LT(scores.metrics.at("strict").mean().item<double>(), 0.08);
}

TEST(ShapesChecker, GradesByParts) {
  const std::vector<Object> objects = {{0, 0, 8, 8, 5}, {1, 2, 24, 24, 5}};
  const torch::Tensor image = render(objects);
  const auto graded = [&](const std::string& text) {
    return check(image.const_data_ptr<float>(), parse_caption(text)).graded;
  };
  EXPECT_EQ(graded("a circle and a square"), 1);
  EXPECT_EQ(graded("a square and a circle"), 1);
  EXPECT_EQ(graded("a circle"), 0.5);  // something else is there
  EXPECT_EQ(graded("a circle and a cross"), 0.5);
  EXPECT_EQ(graded("two crosses"), 0);
  EXPECT_EQ(graded("four squares"), 0.25);
  EXPECT_EQ(graded("a red circle and a blue square"), 1);
  EXPECT_EQ(graded("a red circle and a cyan square"), 0.75);
  EXPECT_EQ(graded("a blue circle and a red square"), 0.5);
  // Objects on the diagonal: both relations hold.
  EXPECT_EQ(graded("a circle left of a square"), 1);
  EXPECT_EQ(graded("a circle above a square"), 1);
  EXPECT_EQ(graded("a circle right of a square"), 0.5);
  EXPECT_EQ(graded("a square above a circle"), 0.5);
}

TEST(BackgroundTexture, IsMeanSquaredDeviation) {
  const torch::Tensor rows = torch::arange(32).reshape({32, 1});
  const torch::Tensor columns = torch::arange(32).reshape({1, 32});
  const torch::Tensor checkers = ((rows + columns) % 2).to(torch::kFloat32);
  // Half of the pixels deviate by 0.05 in [0,1] units.
  const torch::Tensor empty = (render({}) - 0.1 * checkers).contiguous();
  EXPECT_NEAR(texture(empty), 0.05 * 0.05 / 2, 1e-8);  // float32 pixels
  EXPECT_EQ(texture(render({})), 0);
  EXPECT_EQ(texture(torch::zeros({3, 32, 32})), 0);  // all is foreground
}

TEST(BackgroundTexture, BeginsThreePixelsFromTheForeground) {
  // Foreground: rows 8 to 21, columns 5 to 18.
  const torch::Tensor square = render({{1, 7, 12, 15, 7}});
  ASSERT_EQ(texture(square), 0);
  const auto paint = [&](int64_t row, int64_t column) {
    torch::Tensor image = square.clone();
    image.select(1, row).select(1, column) -= 0.2f;
    return texture(image);
  };
  EXPECT_EQ(paint(6, 10), 0);
  EXPECT_EQ(paint(23, 20), 0);
  EXPECT_EQ(paint(15, 3), 0);
  // One pixel of the 32 x 32 - 18 x 18 deviates by 0.1.
  for (const double value : {paint(5, 10), paint(24, 20), paint(15, 2)}) {
    EXPECT_NEAR(value, 0.01 / 700, 1e-9);
  }
}

TEST(ShapesReward, DoesNotDependOnTheBatch) {
  const auto data = captioned_images(12, 0, 60, 0.5);
  const auto noise = 0.4 * counted_normal(1, data.images.sizes());
  const torch::Tensor images = to_unit(data.images + noise);
  const Prompts prompts = prompts_of(data.captions);
  const auto reward = make_reward();
  const auto whole = reward->score(images, prompts);
  const auto order = counted_permutation(1, 60);
  Prompts shuffled;
  for (const int64_t i : order) {
    shuffled.push_back(prompts[i]);
  }
  const torch::Tensor index = torch::tensor(order);
  const auto other = reward->score(images.index_select(0, index), shuffled);
  EXPECT_TRUE(torch::equal(other.value, whole.value.index_select(0, index)));
  for (const auto& [name, values] : whole.metrics) {
    EXPECT_TRUE(
        torch::equal(other.metrics.at(name), values.index_select(0, index)))
        << name;
  }
  const auto one = reward->score(images.slice(0, 7, 8), {prompts[7]});
  EXPECT_EQ(one.value[0].item<float>(), whole.value[7].item<float>());
}

TEST(ShapesReward, TakesAnyMemoryLayout) {
  const auto data = captioned_images(13, 0, 12, 0.5);
  const auto noise = 0.4 * counted_normal(2, data.images.sizes());
  const torch::Tensor images = to_unit(data.images + noise);
  const Prompts prompts = prompts_of(data.captions);
  const auto reward = make_reward();
  EXPECT_TRUE(torch::equal(
      reward->score(images, prompts).value,
      reward->score(images.contiguous(at::MemoryFormat::ChannelsLast), prompts)
          .value));
}

TEST(ShapesReward, RefusesWhatItCannotJudge) {
  const auto reward = make_reward();
  const Prompts prompts = prompts_of({"a circle", "a cross"});
  const auto error_for = [&](const torch::Tensor& images, const Prompts& p) {
    return error_of([&] { reward->score(images, p); });
  };
  const torch::Tensor gray = torch::full({2, 3, 32, 32}, 0.5f);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    torch::Tensor images = gray.clone();
    images[1][2][5][5] = bad;
    expect_parts(error_for(images, prompts), {"image 1", "a cross", "NaN"});
  }
  expect_parts(error_for(gray.slice(2, 0, 16), prompts), {"[2, 3, 16, 32]"});
  expect_parts(error_for(gray, {prompts[0]}), {"2 images", "1 prompts"});
  expect_parts(error_for(gray.to(torch::kFloat64), prompts), {"float32"});
  expect_parts(error_for(gray, prompts_of({"a circle", "a dog"})),
               {"\"a dog\""});
}

TEST(ShapesReward, ScoresNothingInNothing) {
  const auto reward = make_reward();
  EXPECT_EQ(reward->score(torch::empty({0, 3, 32, 32}), {}).value.size(0), 0);
  const auto scores = reward->score(torch::full({1, 3, 32, 32}, 0.5f),
                                    prompts_of({"a circle"}));
  EXPECT_EQ(scores.value[0].item<float>(), 0);
  EXPECT_EQ(scores.value.scalar_type(), torch::kFloat32);
}

}  // namespace
}  // namespace rsm::shapes
