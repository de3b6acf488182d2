#include "rsm/judges/geneval_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/data/prompt_files.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/judges/geneval_colours.h"
#include "rsm/judges/geneval_settings.h"
#include "rsm/judges/geneval_task.h"

namespace rsm::geneval {
namespace {

using nlohmann::json;

constexpr const char* kWho = "geneval";

Prompt prompt_of(const json& metadata) {
  return {0, "a photo", "", metadata.dump()};
}

Detection detection_of(const json& given) {
  Detection d;
  d.kind = given["class"].get<int64_t>();
  d.score = given["score"].get<float>();
  const auto sides = given["box"].get<std::vector<float>>();
  d.box = {sides[0], sides[1], sides[2], sides[3]};
  return d;
}

Thresholds thresholds_of(const json& rules) {
  return {
      rules["threshold"].get<float>(), rules["counting_threshold"].get<float>(),
      rules["max_objects"].get<int64_t>(), rules["max_overlap"].get<double>(),
      rules["position_threshold"].get<float>()};
}

int place_of(const json& colour) {
  if (colour.is_null()) return kNoColour;
  const auto found =
      std::find(kColours.begin(), kColours.end(), colour.get<std::string>());
  return static_cast<int>(found - kColours.begin());
}

/** As the reward does: colours are told where they are asked for. */
Verdict verdict_of(const json& one, const std::vector<std::string>& classes) {
  std::vector<Detection> seen;
  for (const auto& given : one["detections"]) {
    seen.push_back(detection_of(given));
    seen.back().place = std::ssize(seen) - 1;
  }
  const auto task = read_task(kWho, prompt_of(one["task"]), classes);
  const auto thresholds = thresholds_of(one["rules"]);
  auto found = kept(seen, task, thresholds);
  for (auto* object : to_colour(found, task)) {
    object->colour = place_of(one["detections"][object->place]["colour"]);
  }
  return judge(found, task, thresholds.margin);
}

/** The peer's cases. */
class GenevalRules : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TemporaryFolder out;
    run_python("geneval_rules_peer.py", out.path());
    peer_ = read_json(out / "cases.json");
  }
  static void TearDownTestSuite() { peer_ = nullptr; }
  static json peer_;
};
json GenevalRules::peer_;

TEST_F(GenevalRules, GiveThePublishedVerdicts) {
  const auto classes = peer_["classes"].get<std::vector<std::string>>();
  std::map<std::string, std::set<std::pair<bool, bool>>> verdicts;
  std::set<std::string> graded;
  for (size_t i = 0; i < peer_["cases"].size(); ++i) {
    const json& one = peer_["cases"][i];
    SCOPED_TRACE(cat(i, ": ", one.dump()));
    const auto verdict = verdict_of(one, classes);
    EXPECT_EQ(verdict.correct, one["correct"].get<bool>());
    EXPECT_EQ(verdict.strict, one["strict"].get<bool>());
    EXPECT_NEAR(verdict.graded, one["graded"].get<double>(), 1e-12);
    EXPECT_EQ(verdict.reason, one["reason"].get<std::string>());
    EXPECT_EQ(verdict.strict_reason, one["strict_reason"].get<std::string>());
    if (HasFailure()) break;
    verdicts[one["task"]["tag"].get<std::string>()].insert(
        {verdict.correct, verdict.strict});
    graded.insert(one["graded"].dump());
  }
  // The cases tell rules apart: all that can happen to a task happens.
  EXPECT_EQ(verdicts.size(), kTags.size());
  for (const auto& [tag, all] : verdicts) {
    EXPECT_EQ(all.size(), tag == kCounting ? 2u : 3u) << tag;
  }
  EXPECT_GT(graded.size(), 20u);
}

TEST_F(GenevalRules, CallHuesWhatTheirDefinitionDoes) {
  for (const auto& one : peer_["pixels"]) {
    const auto colour = one["rgb"].get<std::vector<double>>();
    const auto pixel = at::tensor(colour, at::kDouble).view({3, 1, 1});
    EXPECT_EQ(colour_by_hue({pixel, {}}), place_of(one["colour"])) << one;
  }
}

Detection at_place(int64_t kind, float x, float y, float score = 0.95F) {
  return {kind, score, {x, y, x + 20, y + 20}};
}

TEST(GenevalMarks, AreThoseThatFlowGrpoGives) {
  Task task;
  task.tag = "position";
  task.include = {{0, "bench", 1}, {1, "cat", 1}};
  task.include[1].relation = Relation::left_of;
  const auto graded = [&](const std::vector<Detection>& seen) {
    return judge(kept(seen, task, {}), task, 0.1F).graded;
  };
  EXPECT_EQ(graded({at_place(0, 100, 0), at_place(1, 0, 0)}), 1);
  // A wrong place is two marks, 0 and 1.
  EXPECT_EQ(graded({at_place(0, 0, 0), at_place(1, 100, 0)}), 0.75);
  EXPECT_EQ(graded({at_place(1, 0, 0)}), (0. + 1. + 0.) / 3);
  EXPECT_EQ(graded({at_place(0, 0, 0)}), (1. + 0. + 0.) / 3);
  EXPECT_EQ(graded({}), 0);
  task.include.resize(1);
  EXPECT_EQ(graded({at_place(0, 0, 0), at_place(0, 50, 0), at_place(0, 99, 0)}),
            -1);
}

TEST(GenevalMarks, TheSurestAreKept) {
  Task task;
  task.tag = kCounting;
  Thresholds thresholds;
  thresholds.most = 2;
  const auto found = kept({at_place(0, 0, 0, 0.9F), at_place(0, 1, 0, 0.91F),
                           at_place(0, 2, 0, 0.99F), at_place(0, 3, 0, 0.91F)},
                          task, thresholds);
  ASSERT_EQ(found.at(0).size(), 2u);
  EXPECT_EQ(found.at(0)[0].box.left, 2);
  EXPECT_EQ(found.at(0)[1].box.left, 3);  // of equal scores the last
}

TEST(GenevalTask, ReadsEveryPublishedPrompt) {
  const char* assets = std::getenv("RSM_ASSETS");
  if (!assets) GTEST_SKIP() << "RSM_ASSETS is not set: no prompts of GenEval";
  const auto prompts = cat(assets, "/prompts/");
  const auto names = prompts + "geneval/object_names.txt";
  if (!is_file(names)) GTEST_SKIP() << names << " is missing";
  const auto classes = read_classes(kWho, names);
  EXPECT_EQ(classes.size(), 80u);
  std::map<std::string, int64_t> tags;
  for (const char* file : {"geneval/evaluation_metadata.jsonl",
                           "flow_grpo/dataset/geneval/test_metadata.jsonl"}) {
    for (const auto& prompt : read_prompt_file(prompts + file)) {
      const auto task = read_task(kWho, prompt, classes);
      EXPECT_EQ(task.tag, prompt.category);  // so means by task are reported
      EXPECT_EQ(task.exclude.size(), task.tag == kCounting ? 1u : 0u);
      ++tags[task.tag];
    }
  }
  EXPECT_EQ(tags, (std::map<std::string, int64_t>{{"color_attr", 500},
                                                  {"colors", 470},
                                                  {"counting", 400},
                                                  {"position", 500},
                                                  {"single_object", 400},
                                                  {"two_object", 495}}));
}

TEST(GenevalTask, SaysWhatIsWrongWithAPrompt) {
  const std::vector<std::string> classes = {"bench", "potted plant", ""};
  const auto error = [&](const char* metadata) {
    const Prompt prompt{0, "a photo", "", metadata};
    const auto text = error_of([&] { read_task("me", prompt, classes); });
    expect_parts(text, {"[me] the prompt \"a photo\""});
    return text;
  };
  expect_parts(error(""), {"no metadata", "evaluation_metadata.jsonl"});
  expect_parts(error(R"({"include": []})"), {"tag", "missing"});
  expect_parts(error(R"({"tag": "count", "include": []})"),
               {"tag", "\"count\"", "counting"});
  expect_parts(error(R"({"tag": "counting"})"), {"include", "list"});
  const auto wrong = [&](const std::string& clause) {
    return error((R"({"tag": "position", "include": [
        {"class": "bench", "count": 1}, {)" +
                  clause + "}]}")
                     .c_str());
  };
  expect_parts(wrong(R"("class": "pottedplant", "count": 1)"),
               {"include[1]", "\"pottedplant\"", "3", "potted plant"});
  expect_parts(wrong(R"("class": "", "count": 1)"), {"class"});
  expect_parts(wrong(R"("class": "bench", "count": 0)"), {"count", "1"});
  expect_parts(wrong(R"("class": "bench", "count": 1, "color": "grey")"),
               {"color", "grey", "green"});
  for (const char* position : {R"(["left", 0])", R"(["left of", 1])",
                               R"(["left of", -1])", R"(["left of"])", "3"}) {
    expect_parts(
        wrong(cat(R"("class": "bench", "count": 1, "position": )", position)),
        {"position", "left of", "earlier"});
  }
  expect_parts(error(R"({"tag": "colors", "include": [
      {"class": "bench", "count": 1}], "exclude": [
      {"class": "bench", "count": 2, "color": "red"}]})"),
               {"exclude", "color"});
}

TEST(GenevalColours, HuesHaveTheNamesThatPeopleGiveThem) {
  // The colours of CSS that are called so.
  const std::vector<std::pair<std::array<int, 3>, const char*>> known = {
      {{255, 0, 0}, "red"},      {{255, 165, 0}, "orange"},
      {{255, 255, 0}, "yellow"}, {{0, 128, 0}, "green"},
      {{0, 0, 255}, "blue"},     {{128, 0, 128}, "purple"},
      {{255, 192, 203}, "pink"}, {{165, 42, 42}, "brown"},
      {{0, 0, 0}, "black"},      {{255, 255, 255}, "white"},
      {{139, 69, 19}, "brown"},  {{255, 105, 180}, "pink"},
      {{135, 206, 235}, "blue"}};
  for (const auto& [rgb, name] : known) {
    const auto pixel =
        at::tensor({rgb[0] / 255., rgb[1] / 255., rgb[2] / 255.}, at::kDouble);
    // Of the part's middle, or of its mask: the rest is green.
    const auto part = at::zeros({3, 8, 8}, at::kDouble);
    part[1].fill_(1);
    part.slice(1, 2, 6).slice(2, 2, 6).copy_(pixel.view({3, 1, 1}));
    EXPECT_STREQ(kColours.at(colour_by_hue({part, {}})), name);
    const auto mask = part[1] != 1;
    if (mask.any().item<bool>()) {
      EXPECT_STREQ(kColours.at(colour_by_hue({part, mask})), name);
    }
  }
  EXPECT_EQ(colour_by_hue({at::full({3, 4, 4}, 0.5), {}}), kNoColour);
  EXPECT_EQ(colour_by_hue({at::ones({3, 4, 4}), at::zeros({4, 4}, at::kBool)}),
            kNoColour);
}

TEST(GenevalColours, PartsAreWholePixelsOfThePicture) {
  const auto image = at::arange(3 * 6 * 8).view({3, 6, 8}).to(at::kFloat);
  const auto mask = image[0] > 20;
  const auto part = part_of(image, {1.5F, 0.5F, 3.6F, 4.4F}, mask);
  EXPECT_TRUE(part.pixels.equal(image.slice(1, 0, 4).slice(2, 2, 4)));
  EXPECT_TRUE(part.mask.equal(mask.slice(0, 0, 4).slice(1, 2, 4)));
  EXPECT_TRUE(part_of(image, {-9, -9, 99, 99}, {}).pixels.equal(image));
  EXPECT_EQ(part_of(image, {40, 3, 50, 3}, {}).pixels.sizes(),
            (at::IntArrayRef{3, 1, 1}));
}

}  // namespace
}  // namespace rsm::geneval
