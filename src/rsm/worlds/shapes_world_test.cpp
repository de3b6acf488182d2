#include "rsm/worlds/shapes_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"

namespace rsm::shapes {
namespace {

std::map<Category, int> count_by_category(const std::vector<Spec>& specs) {
  std::map<Category, int> count;
  for (const Spec& spec : specs) {
    ++count[spec.category];
  }
  return count;
}

TEST(ShapesWorld, CaptionsAndSpecsAreInverse) {
  std::set<std::string> texts;
  for (const Spec& spec : all_specs()) {
    const std::string text = caption(spec);
    EXPECT_EQ(parse_caption(text), spec) << text;
    EXPECT_TRUE(texts.insert(text).second) << text << " comes twice";
  }
  const std::map<Category, int> expected = {
      {Category::single_object, 4}, {Category::two_object, 12},
      {Category::counting, 12},     {Category::colors, 32},
      {Category::position, 48},     {Category::color_attr, 672}};
  EXPECT_EQ(count_by_category(all_specs()), expected);
  EXPECT_EQ(texts.size(), 780u);
}

TEST(ShapesWorld, CaptionsAreThoseOfTheNumpyWorld) {
  const TemporaryFolder folder;
  run_python("shapes_peer.py", "captions " + folder / "captions");
  std::istringstream lines(
      read_safetensors(folder / "captions").metadata.at("captions"));
  std::vector<std::string> expected;
  for (std::string line; std::getline(lines, line);) {
    expected.push_back(line);
  }
  std::vector<std::string> actual;
  for (const Spec& spec : all_specs()) {
    actual.push_back(caption(spec));
  }
  std::sort(expected.begin(), expected.end());
  std::sort(actual.begin(), actual.end());
  EXPECT_EQ(actual, expected);
}

TEST(ShapesWorld, CaptionsReadAsTheyShould) {
  EXPECT_EQ(caption({Category::single_object, {0}, {}}), "a circle");
  EXPECT_EQ(caption({Category::counting, {3}, {}, 4}), "four crosses");
  EXPECT_EQ(caption({Category::position, {2, 1}, {}, 1, 0}),
            "a triangle left of a square");
  EXPECT_EQ(caption({Category::position, {2, 1}, {}, 1, 2}),
            "a triangle above a square");
  EXPECT_EQ(caption({Category::color_attr, {1, 0}, {7, 4}}),
            "a black square and a purple circle");
  const auto words = caption_words();
  EXPECT_EQ(words.size(), 26u);
  EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), 26u);
}

TEST(ShapesWorld, OtherTextsAndSpecsAreRefused) {
  const auto error_for = [](const std::string& text) {
    return error_of([&] { parse_caption(text); });
  };
  expect_parts(error_for("a photo of a dog"),
               {"\"a photo of a dog\"", "left of|right of|above|below",
                "circle|square|triangle|cross", "red|green"});
  expect_parts(error_for("a red circel"), {"did you mean \"a red circle\""});
  for (const char* text : {"", "A circle", "a circle ", "a circle and a circle",
                           "one circle", "a red circle and a red square"}) {
    EXPECT_THROW(parse_caption(text), Error) << text;
  }
  EXPECT_THROW(caption({Category::counting, {0}, {}, 1}), Error);
  EXPECT_THROW(caption({Category::two_object, {0, 0}, {}}), Error);
  EXPECT_THROW(caption({Category::colors, {0}, {8}}), Error);
  EXPECT_THROW(caption({Category::position, {0, 1}, {}}), Error);
}

TEST(ShapesWorld, RendersAreThoseOfTheNumpyWorld) {
  const TemporaryFolder folder;
  run_python("shapes_peer.py", "renders " + folder / "renders");
  const StateDict peer = read_safetensors(folder / "renders").tensors;
  const auto objects = peer.at("objects").accessor<double, 3>();
  double largest = 0;
  for (int64_t i = 0; i < objects.size(0); ++i) {
    std::vector<Object> drawn;
    for (int64_t k = 0; k < objects.size(1) && objects[i][k][0] >= 0; ++k) {
      drawn.push_back({static_cast<int>(objects[i][k][0]),
                       static_cast<int>(objects[i][k][1]), objects[i][k][2],
                       objects[i][k][3], objects[i][k][4]});
    }
    const auto difference = render(drawn) - peer.at("images")[i];
    largest = std::max(largest, difference.abs().max().item<double>());
  }
  EXPECT_EQ(objects.size(0), 400);
  // Both round to float32 somewhere: coordinates up to 32 have steps of 2e-6.
  EXPECT_LT(largest, 1e-5);
}

TEST(ShapesWorld, EmptyPictureIsBackground) {
  const torch::Tensor image = render({});
  EXPECT_EQ(image.sizes(), at::IntArrayRef({3, 32, 32}));
  for (int c = 0; c < 3; ++c) {
    EXPECT_TRUE(image[c].eq(background_value()[c]).all().item<bool>());
  }
  EXPECT_THROW(render({{4, 0, 16, 16, 6}}), Error);
  EXPECT_THROW(render({{0, 8, 16, 16, 6}}), Error);
}

TEST(ShapesWorld, ArrangementsObeyTheirSpec) {
  Engine engine(5);
  for (const Spec& spec : all_specs()) {
    const auto objects = arrange(spec, engine);
    ASSERT_EQ(std::ssize(objects), spec.objects());
    for (size_t i = 0; i < objects.size(); ++i) {
      const Object& a = objects[i];
      const bool counting = spec.category == Category::counting;
      EXPECT_EQ(a.shape, spec.shapes[counting ? 0 : i]);
      EXPECT_TRUE(spec.colors.empty() || a.color == spec.colors[i]);
      for (const double place : {a.x, a.y}) {
        EXPECT_GE(place, a.radius + 1);
        EXPECT_LE(place, 31 - a.radius);
      }
      for (size_t j = 0; j < i; ++j) {
        const Object& b = objects[j];
        EXPECT_GT(std::max(std::abs(a.x - b.x), std::abs(a.y - b.y)),
                  a.radius + b.radius + 2);
      }
    }
    if (spec.category == Category::position) {
      const double dx = objects[0].x - objects[1].x;
      const double dy = objects[0].y - objects[1].y;
      const double lead[] = {-dx, dx, -dy, dy};
      const double across = spec.relation < 2 ? std::abs(dy) : std::abs(dx);
      EXPECT_GE(lead[spec.relation], across + 4) << caption(spec);
    }
  }
}

TEST(ShapesWorld, RandomSpecsAreUniform) {
  constexpr int kDraws = 24000;
  Engine engine(1);
  std::map<Category, int> categories;
  std::map<std::string, int> texts;
  for (int i = 0; i < kDraws; ++i) {
    const Spec spec = random_spec(engine);
    ++categories[spec.category];
    ++texts[caption(spec)];
  }
  ASSERT_EQ(categories.size(), 6u);
  for (const auto& [category, count] : categories) {
    EXPECT_NEAR(count, 4000, 290);  // five standard deviations
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(texts[caption(all_specs()[i])], 1000, 155);
  }
  EXPECT_GT(texts.size(), 770u);
}

TEST(ShapesWorld, CorruptionChangesWhatTheCategoryIsAbout) {
  Engine engine(2);
  std::map<Category, double> tried;
  std::map<Category, double> wrong;
  for (int i = 0; i < 24000; ++i) {
    const Spec spec = random_spec(engine);
    const Spec other = corrupt(spec, engine);
    EXPECT_EQ(other.category, spec.category);
    const bool shapes = spec.category == Category::single_object ||
                        spec.category == Category::two_object;
    const bool colors = spec.category == Category::colors ||
                        spec.category == Category::color_attr;
    EXPECT_TRUE(shapes || other.shapes == spec.shapes);
    EXPECT_TRUE(colors || other.colors == spec.colors);
    EXPECT_TRUE(spec.category == Category::counting || other.count == 1);
    EXPECT_TRUE(spec.category == Category::position || other.relation == -1);
    ++tried[spec.category];
    wrong[spec.category] += other == spec ? 0 : 1;
  }
  const std::map<Category, double> expected = {
      {Category::single_object, 3. / 4}, {Category::two_object, 15. / 16},
      {Category::counting, 3. / 4},      {Category::colors, 7. / 8},
      {Category::position, 3. / 4},      {Category::color_attr, 191. / 192}};
  for (const auto& [category, share] : expected) {
    // Five standard deviations at 4000 draws.
    EXPECT_NEAR(wrong[category] / tried[category], share, 0.035)
        << static_cast<int>(category);
  }
}

TEST(ShapesWorld, HeldOutIsAFixedFifthOfEveryCategory) {
  const Prompts held = prompts_of(Split::held_out);
  const Prompts train = prompts_of(Split::train);
  const Prompts all = prompts_of(Split::all);
  EXPECT_EQ(held.size() + train.size(), all.size());
  std::map<std::string, int> by_category;
  for (const Prompt& prompt : held) {
    ++by_category[prompt.category];
    EXPECT_TRUE(held_out(parse_caption(prompt.text)));
    EXPECT_EQ(caption(all_specs()[prompt.id]), prompt.text);
  }
  const std::map<std::string, int> expected = {
      {"single_object", 1}, {"two_object", 2}, {"counting", 2},
      {"colors", 6},        {"position", 10},  {"color_attr", 134}};
  EXPECT_EQ(by_category, expected);
  // Part of published results: these may never change.
  EXPECT_EQ(held[0].text, "a cross");
  EXPECT_EQ(held[1].text, "a circle and a cross");
  EXPECT_EQ(held[20].text, "a cross above a triangle");
}

TEST(ShapesWorld, TrainingCaptionsUseEveryWord) {
  std::set<std::string> words;
  for (const Prompt& prompt : prompts_of(Split::train)) {
    std::istringstream text(prompt.text);
    for (std::string word; text >> word;) {
      words.insert(word);
    }
  }
  EXPECT_EQ(words.size(), caption_words().size());
}

TEST(ShapesWorld, CaptionedImagesDependOnTheirCountAlone) {
  const auto whole = captioned_images(3, 10, 200, 0.25);
  const auto left = captioned_images(3, 10, 77, 0.25);
  const auto right = captioned_images(3, 87, 123, 0.25);
  EXPECT_TRUE(
      torch::equal(whole.images, torch::cat({left.images, right.images})));
  auto captions = left.captions;
  captions.insert(captions.end(), right.captions.begin(), right.captions.end());
  EXPECT_EQ(captions, whole.captions);
  const auto other = captioned_images(4, 10, 200, 0.25);
  EXPECT_NE(other.captions, whole.captions);
  EXPECT_EQ(captioned_images(3, 0, 0, 0).images.size(0), 0);
}

TEST(ShapesWorld, CaptionNoiseChangesItsShareOfPictures) {
  constexpr int64_t kCount = 4000;
  const auto clean = captioned_images(6, 0, kCount, 0);
  const auto noisy = captioned_images(6, 0, kCount, 0.25);
  EXPECT_EQ(clean.captions, noisy.captions);
  const auto same = (clean.images == noisy.images).flatten(1).all(1);
  // Corrupting draws numbers, so all corrupted pictures differ.
  EXPECT_NEAR(1 - same.to(torch::kFloat64).mean().item<double>(), 0.25,
              5 * std::sqrt(0.25 * 0.75 / kCount));
}

TEST(ShapesWorld, CaptionedImagesStayInTheirSplit) {
  for (const auto split : {Split::train, Split::held_out}) {
    for (const auto& text : captioned_images(7, 0, 300, 0.5, split).captions) {
      EXPECT_EQ(held_out(parse_caption(text)), split == Split::held_out);
    }
  }
  EXPECT_THROW(captioned_images(1, -1, 1, 0), Error);
  EXPECT_THROW(captioned_images(1, 0, 1, 1.5), Error);
}

}  // namespace
}  // namespace rsm::shapes
