#include "rsm/data/picture_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/data/certainty.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** Two prompts of two pictures each, of two categories. */
PictureScores example() {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  auto out =
      pictures_of({{7, "a", "x"}, {7, "a", "x"}, {9, "b", "y"}, {9, "b", "y"}},
                  {0, 1, 0, 1}, 42);
  out.epoch = 3;
  out.metrics = {{"reward", {0.1, 0.2, 0.5, 0.8}},
                 {"diversity", {0.25, missing, 0.5, missing}}};
  return out;
}

TEST(PictureScores, ComeBackAsTheyWereWritten) {
  const TemporaryFolder folder;
  write_picture_scores(folder / "scores.json", example());
  const auto read = read_picture_scores(folder / "scores.json");
  EXPECT_EQ(read.epoch, 3);
  EXPECT_EQ(read.size(), 4);
  EXPECT_EQ(read.metrics.at("reward"), example().metrics.at("reward"));
  EXPECT_TRUE(std::isnan(read.metrics.at("diversity")[1]));
  EXPECT_EQ(pairing_problem(read, example()), "");
}

TEST(PictureScores, MeansAreOfThePicturesThatHaveTheNumber) {
  const auto means = means_of(example());
  EXPECT_DOUBLE_EQ(means.at("reward"), 0.4);
  EXPECT_DOUBLE_EQ(means.at("diversity"), 0.375);
  const auto one = of_category(example(), "y");
  EXPECT_EQ(one.size(), 2);
  EXPECT_DOUBLE_EQ(means_of(one).at("reward"), 0.65);
  EXPECT_EQ(errors_of(one).count("diversity"), 0u);
}

TEST(PictureScores, PairingTakesOutWhatPicturesHaveInCommon) {
  const auto before = example();
  auto after = example();
  // Every picture gains about the same, though they are far apart.
  after.metrics["reward"] = {0.2, 0.32, 0.61, 0.93};
  const auto change = difference(before, after);
  EXPECT_NEAR(means_of(change).at("reward"), 0.115, 1e-12);
  const auto paired = errors_of(change).at("reward");
  const auto apart = error_of_both(errors_of(before).at("reward"),
                                   errors_of(after).at("reward"));
  EXPECT_NEAR(paired.standard, 0.01 / std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(paired.freedom, 2, 0.2);
  EXPECT_GT(apart.standard, 10 * paired.standard);
  EXPECT_EQ(means_of(change).at("diversity"), 0);
}

TEST(PictureScores, OtherPicturesAreNotPaired) {
  const auto refused = [](const auto& change, const std::string& part) {
    auto other = example();
    change(other);
    expect_parts(error_of([&] { difference(example(), other); }),
                 {"[scores]", part});
  };
  refused([](auto& s) { s.prompts[0] = 1; }, "their prompts");
  refused([](auto& s) { s.captions = "other"; }, "their prompts");
  refused([](auto& s) { s.categories[3] = "x"; }, "their prompts");
  refused([](auto& s) { s.members[1] = 2; }, "how many pictures");
  refused([](auto& s) { s.seed = 43; }, "the seed");
}

TEST(PictureScores, DamagedFilesAreNamedWithTheKey) {
  const TemporaryFolder folder;
  const auto path = folder / "scores.json";
  write_picture_scores(path, example());
  const auto whole = read_json(path);
  for (const auto& [key, value] : whole.items()) {
    for (const auto& wrong :
         {nlohmann::json(), nlohmann::json("text"), nlohmann::json(-1.5),
          nlohmann::json::object({{"a", {1, "b"}}}),
          nlohmann::json::array({nlohmann::json::array()})}) {
      // Any text may be the checksum; it then pairs with nothing.
      if (key == "captions" && wrong.is_string()) continue;
      auto broken = whole;
      broken[key] = wrong;
      write_json_atomic(path, broken);
      expect_parts(error_of([&] { read_picture_scores(path); }),
                   {"[scores]", path, key});
    }
    auto broken = whole;
    broken.erase(key);
    write_json_atomic(path, broken);
    expect_parts(error_of([&] { read_picture_scores(path); }), {path, key});
  }
  auto shorter = whole;
  shorter["metrics"]["reward"].erase(0);
  write_json_atomic(path, shorter);
  expect_parts(error_of([&] { read_picture_scores(path); }),
               {"metrics.reward", "4 entries"});
  write_file_atomic(path, read_file(path).substr(0, 40));
  EXPECT_THROW(read_picture_scores(path), Error);
  EXPECT_THROW(read_picture_scores(folder / "missing"), Error);
}

}  // namespace
}  // namespace rsm
