#include "rsm/rewards/answers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rsm/base/random.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

RewardScores read(const std::string& text, const PictureRange& range) {
  Prompts prompts;
  for (int64_t i = 0; i < range.first + range.count; ++i) {
    prompts.push_back({i, cat("picture ", i), ""});
  }
  return read_scores("judge", parse_answer("judge", text), range, prompts);
}

std::string error(const std::string& text, const PictureRange& range) {
  return error_of([&] { read(text, range); });
}

TEST(PictureRanges, CoverAllInOrder) {
  for (int64_t count = 0; count < 20; ++count) {
    for (int64_t batch = 1; batch < 22; ++batch) {
      int64_t next = 0;
      for (const auto& range : picture_ranges(count, batch)) {
        EXPECT_EQ(range.first, next);
        EXPECT_GE(range.count, 1);
        EXPECT_LE(range.count, batch);
        next += range.count;
      }
      EXPECT_EQ(next, count);
    }
  }
  EXPECT_EQ((PictureRange{3, 1}).text(), "image 3");
  EXPECT_EQ((PictureRange{3, 4}).text(), "images 3 to 6");
}

TEST(Answers, AreReadWithTheirMetrics) {
  const auto scores =
      read(R"({"scores": [1, -0.5], "metrics": {"a": [2, 3], "b": [0, 1e-9]}})",
           {0, 2});
  EXPECT_TRUE(torch::equal(scores.value, torch::tensor({1.0f, -0.5f})));
  EXPECT_EQ(scores.metrics.size(), 2u);
  EXPECT_TRUE(torch::equal(scores.metrics.at("a"), torch::tensor({2.f, 3.f})));
  EXPECT_EQ(scores.metrics.at("b")[1].item<float>(), 1e-9f);
  EXPECT_TRUE(read(R"({"scores": [1]})", {0, 1}).metrics.empty());
  EXPECT_TRUE(
      read(R"({"scores": [1], "metrics": null})", {0, 1}).metrics.empty());
}

TEST(Answers, NumbersThatPythonWritesAndJsonLacksAreNamed) {
  const PictureRange range = {10, 3};
  expect_parts(error(R"({"scores": [1, NaN, 2]})", range),
               {"[judge]", "image 11 (\"picture 11\")", "\"NaN\"", "finite",
                "mend the reward"});
  expect_parts(error(R"({"scores": [1, 2, -Infinity]})", range),
               {"image 12", "\"-Infinity\""});
  expect_parts(error(R"({"scores": [Infinity, 1, 2]})", range),
               {"image 10", "\"Infinity\""});
  expect_parts(
      error(R"({"scores": [0, 1, 2], "metrics": {"NaN \" Infinity": [0, 0,)"
            R"(NaN]}})",
            range),
      {"NaN \" Infinity", "image 12"});
  // Too large for float32.
  expect_parts(error(R"({"scores": [1, 2, 1e300]})", range),
               {"image 12", "1e+300"});
}

TEST(Answers, GroupsStayWhole) {
  const auto counts = [](const std::vector<int64_t>& group, int64_t batch) {
    std::vector<int64_t> out;
    int64_t next = 0;
    for (const auto& range : group_ranges(group, batch)) {
      EXPECT_EQ(range.first, next);
      next += range.count;
      out.push_back(range.count);
    }
    EXPECT_EQ(next, std::ssize(group));
    return out;
  };
  const std::vector<int64_t> group = {5, 5, 2, 2, 2, 2, 9};
  using Counts = std::vector<int64_t>;
  EXPECT_EQ(counts(group, 1), (Counts{2, 4, 1}));
  EXPECT_EQ(counts(group, 5), (Counts{2, 5}));
  EXPECT_EQ(counts(group, 6), (Counts{6, 1}));
  EXPECT_EQ(counts(group, 100), Counts{7});
  EXPECT_TRUE(group_ranges({}, 3).empty());
  EXPECT_THROW(group_ranges(group, 0), Error);
}

TEST(Answers, ArePutInOrder) {
  RewardScores scores;
  scores.value = torch::tensor({10.f, 11.f, 12.f});
  scores.metrics["m"] = 2 * scores.value;
  scores.parts = {{"p", 1, 3 * scores.value}};
  const auto put = put_in_order(scores, {2, 0, 1});
  const auto expected = torch::tensor({11.f, 12.f, 10.f});
  EXPECT_TRUE(put.value.equal(expected));
  EXPECT_TRUE(put.metrics.at("m").equal(2 * expected));
  EXPECT_TRUE(put.parts.at(0).value.equal(3 * expected));
}

TEST(Answers, WhatIsMissingOrTooMuchIsNamed) {
  const PictureRange range = {64, 2};
  expect_parts(error(R"({"scores": [1]})", range),
               {"1 numbers", "images 64 to 65",
                "none from image 65 (\"picture 65\") on", "each of the 2"});
  expect_parts(error(R"({"scores": [1, 2, 3]})", range),
               {"3 numbers", "images 64 to 65; one"});
  expect_parts(error(R"({"scores": [1, "2"]})", range), {"image 65", "\"2\""});
  expect_parts(error(R"({"scores": [null, 1]})", range), {"image 64", "null"});
  expect_parts(error(R"({"scores": 4})", range), {"\"scores\" is 4"});
  expect_parts(error(R"({"score": [1, 2]})", range), {"score", "is needed"});
  expect_parts(error("[1, 2]", range), {"[1,2]", "is needed"});
  expect_parts(error(R"({"scores": [1, 2], "metrics": [1, 2]})", range),
               {"\"metrics\""});
  expect_parts(error(R"({"scores": [1, 2], "metrics": {"m": [1]}})", range),
               {"\"m\"", "1 numbers"});
  // What else is said of a category has these names.
  for (const std::string name : {"reward", "images", "errors", "freedom",
                                 "change_errors", "change_freedom"}) {
    expect_parts(error(cat(R"({"scores": [1, 2], "metrics": {")", name,
                           R"(": [1, 2]}})"),
                       range),
                 {"\"" + name + "\"", "any name but this"});
  }
  expect_parts(error(R"({"error": "out of memory"})", range),
               {"[judge]", "images 64 to 65", "out of memory"});
}

TEST(Answers, WhatIsNoJsonIsQuotedButNotAtLength) {
  const std::string text = "Loading weights" + std::string(100000, '.');
  const auto message = error(text, {0, 1});
  expect_parts(message, {"Loading weights", "no JSON"});
  EXPECT_LT(message.size(), 1000u);
  expect_parts(error("", {0, 1}), {"no JSON"});
  expect_parts(error("{\"scores\": [1", {0, 1}), {"no JSON"});
}

TEST(Answers, NestsNoDeeperThanCanBeRead) {
  const std::string deep = std::string(8000, '[') + std::string(8000, ']');
  expect_parts(
      error(deep, {0, 1}),
      {"[judge] answered \"[[[", "nest deeper than 100", "mend the reward"});
  expect_parts(error("{\"scores\": [1], \"more\": " + deep + "}", {0, 1}),
               {"nest deeper than 100"});
}

TEST(Answers, BinaryIsWrittenOut) {
  for (const std::string& text :
       {std::string("\x1b[2J\0\xff", 6), std::string("{\"scores\": \"\xff\"}"),
        std::string("{\"scores\": [1]}\0x", 17)}) {
    const auto message = error(text, {0, 1});
    EXPECT_NO_THROW(json(message).dump()) << "no UTF-8";
    EXPECT_EQ(message.find('\x1b'), std::string::npos);
    EXPECT_EQ(message.find('\0'), std::string::npos);
  }
  const std::string complaint(100000, 'x');
  const auto message =
      error("{\"error\": \"\\u001b" + complaint + "\"}", {0, 1});
  expect_parts(message, {"says of image 0: \\x1bxxx"});
  EXPECT_LT(message.size(), 5000u);
}

/** Whatever comes, only rsm::Error goes out, and it can be shown. */
TEST(Answers, DamagedOnesAreReadOrNamed) {
  const std::string whole =
      R"({"id": 1, "scores": [1, -2.5e3], "metrics": {"a": [0, 1]}})";
  int64_t refused = 0;
  for (int64_t seed = 0; seed < 2000; ++seed) {
    const auto picks = counted_permutation(seed, 256);
    std::string text = whole;
    text[picks[0] % text.size()] = static_cast<char>(picks[1]);
    text.erase(picks[2] % text.size(), picks[3] % 4);
    try {
      read(text, {0, 2});
    } catch (const Error& wrong) {
      ++refused;
      EXPECT_NO_THROW(json(wrong.what()).dump()) << text;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Answers, AreJoinedWhereTheirMetricsAreTheSame) {
  const auto first =
      read(R"({"scores": [1, 2], "metrics": {"m": [3, 4]}})", {0, 2});
  const auto second = read(R"({"scores": [5], "metrics": {"m": [6]}})", {2, 1});
  const auto all = join_scores("judge", {first, second});
  EXPECT_TRUE(torch::equal(all.value, torch::tensor({1.f, 2.f, 5.f})));
  EXPECT_TRUE(
      torch::equal(all.metrics.at("m"), torch::tensor({3.f, 4.f, 6.f})));
  // Names are compared to their end, however they are shown.
  const std::string name(1000, 'm');
  const auto named = [&](const std::string& end) {
    return read("{\"scores\": [1], \"metrics\": {\"" + name + end + "\": [2]}}",
                {0, 1});
  };
  expect_parts(error_of([&] {
                 join_scores("judge", {named("a"), named("b")});
               }),
               {"[judge]", "give every image the same"});
  const auto other = read(R"({"scores": [5], "metrics": {"k": [6]}})", {2, 1});
  expect_parts(error_of([&] {
                 join_scores("judge", {first, other});
               }),
               {"[judge]", "metrics m", "and k"});
  EXPECT_EQ(join_scores("judge", {}).value.numel(), 0);
}

}  // namespace
}  // namespace rsm
