#include "rsm/judges/geneval_reward.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/geneval_colours.h"
#include "rsm/judges/judge_memory.h"
#include "rsm/judges/script_testing.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

using Colour = std::array<float, 3>;
constexpr Colour kRed = {1, 0, 0}, kBlue = {0, 0, 1}, kBlack = {0, 0, 0};

/** A rectangle in a cell of 16 pixels: a bench is wide, a vase tall, a clock
 * square. */
struct Thing {
  const char* name;
  int64_t row, column;
  Colour colour = kRed;
};

/** [3,64,64] before grey. */
torch::Tensor picture_of(const std::vector<Thing>& things) {
  const auto picture = at::full({3, 64, 64}, 0.5F);
  for (const auto& thing : things) {
    const std::string name = thing.name;
    const int64_t height = name == "bench" ? 6 : 12;
    const int64_t width = name == "vase" ? 6 : 12;
    const auto part = picture.narrow(1, 16 * thing.row + 2, height)
                          .narrow(2, 16 * thing.column + 2, width);
    for (int64_t i = 0; i < 3; ++i) part[i].fill_(thing.colour[i]);
  }
  return picture;
}

json clause(const char* name, const json& more = json::object()) {
  json out = {{"class", name}, {"count", 1}};
  out.update(more);
  return out;
}

/** Pictures, what is asked of them and the three verdicts. */
struct Cases {
  std::vector<torch::Tensor> pictures;
  Prompts prompts;
  std::vector<float> correct, strict, graded;

  void add(const Prompt& prompt, const std::vector<Thing>& things, float right,
           float exact, float mark) {
    pictures.push_back(picture_of(things));
    prompts.push_back(prompt);
    correct.push_back(right);
    strict.push_back(exact);
    graded.push_back(mark);
  }
};

/** The six tasks. */
Cases six_tasks() {
  Cases c;
  const Thing bench = {"bench", 1, 0}, clock = {"clock", 1, 3, kBlue};
  const auto single =
      prompt_of("single_object", json::array({clause("bench")}));
  c.add(single, {bench}, 1, 1, 1);
  c.add(single, {bench, {"bench", 3, 2}}, 1, 0, 0);
  c.add(single, {clock}, 0, 0, 0);
  c.add(single, {}, 0, 0, 0);
  const auto both = prompt_of("two_object", {clause("bench"), clause("clock")});
  c.add(both, {bench, clock}, 1, 1, 1);
  c.add(both, {clock, {"vase", 0, 0}}, 0, 0, 0.5);
  const auto count =
      prompt_of("counting", json::array({clause("vase", {{"count", 2}})}),
                json::array({clause("vase", {{"count", 3}})}));
  c.add(count, {{"vase", 0, 0}, {"vase", 0, 1}}, 1, 1, 1);
  c.add(count, {{"vase", 0, 0}, {"vase", 0, 1}, {"vase", 2, 2}}, 0, 0, 0.5);
  const auto red =
      prompt_of("colors", json::array({clause("bench", {{"color", "red"}})}));
  c.add(red, {bench}, 1, 1, 1);
  c.add(red, {{"bench", 0, 0, kBlue}}, 0, 0, 0.5);
  const auto place = prompt_of(
      "position",
      {clause("clock"), clause("bench", {{"position", {"left of", 0}}})});
  c.add(place, {bench, clock}, 1, 1, 1);
  c.add(place, {{"bench", 3, 3}, {"clock", 3, 0}}, 0, 0, 0.75);
  c.add(place, {{"bench", 0, 2}, {"clock", 3, 2}}, 0, 0, 0.75);
  const auto each =
      prompt_of("color_attr", {clause("bench", {{"color", "black"}}),
                               clause("clock", {{"color", "blue"}})});
  c.add(each, {{"bench", 1, 1, kBlack}, clock}, 1, 1, 1);
  c.add(each, {{"bench", 1, 1, kBlue}, {"clock", 0, 0, kBlack}}, 0, 0, 0.5);
  return c;
}

TestPictures pictures_of(const Cases& cases) {
  TestPictures out;
  out.images = at::stack(cases.pictures);
  out.prompts = cases.prompts;
  return out;
}

/** A detector by the body of its forward. */
void write_module(const std::string& file, const std::string& result,
                  const std::string& body,
                  const std::string& more_arguments = "") {
  write_forward(file, "def forward(self, images: Tensor" + more_arguments +
                          ") -> " + result + ":\n" + body);
}

/** Two objects in each picture as whole tensors: a bench as sure as the picture
 * is bright, and a vase as sure as it is dark. */
void write_tensors_detector(const std::string& file) {
  write_module(file, "Tuple[Tensor, Tensor, Tensor]",
               "  bright = images.mean([1, 2, 3])\n"
               "  scores = torch.stack([bright, 1 - bright], 1)\n"
               "  boxes = torch.ones([images.size(0), 2, 4], "
               "dtype=images.dtype, device=images.device)\n"
               "  classes = torch.arange(2, device=images.device)\n"
               "  return boxes, scores, classes.expand([images.size(0), 2])\n");
}

/** One bench, in each picture at the place of Thing{"bench", 1, 1}. */
void write_bench_detector(const std::string& file) {
  write_module(file, "Tuple[Tensor, Tensor, Tensor]",
               "  n = images.size(0)\n"
               "  box = torch.tensor([18.0, 18.0, 30.0, 24.0])\n"
               "  boxes = box.to(images.device).expand([n, 1, 4])\n"
               "  scores = torch.ones([n, 1], device=images.device)\n"
               "  return boxes, scores, torch.zeros_like(scores, dtype=4)\n");
}

class GenevalOn : public OnDevice {
 protected:
  std::unique_ptr<Reward> made(const std::string& place) const {
    auto spec = spec_of("geneval:" + (folder_ / place));
    spec.device = GetParam();
    return make_any_reward(spec, kNeverStops);
  }
  /** A folder of a detector and its classes. */
  std::string written(const std::string& name) const {
    const std::string to = folder_ / name;
    make_folders(to);
    write_bench_detector(to + "/detector.pt");
    write_file_atomic(to + "/classes.txt", "bench\nvase\nclock\n");
    return to;
  }
  std::string check_error(const std::string& place) const {
    const auto reward = made(place);
    return error_of([&] { reward->check(); });
  }

  TemporaryFolder folder_;
};
RSM_ON_EVERY_DEVICE(GenevalOn);

TEST_P(GenevalOn, JudgesTheSixTasks) {
  at::set_num_threads(1);
  // The detector of the docs.
  run_python("../../docs/examples/geneval_detector.py",
             cat("'", folder_ / "example", "'"));
  const auto reward = made("example");
  reward->check();
  EXPECT_FALSE(reward->is_differentiable());
  EXPECT_EQ(reward->main_metric(), "geneval-like");
  const auto cases = six_tasks();
  const auto asked = pictures_of(cases);
  const auto scores = score(*reward, asked);
  EXPECT_TRUE(scores.value.equal(torch::tensor(cases.graded)));
  EXPECT_EQ(scores.metrics.size(), 3u);
  for (const auto& [name, wanted] :
       {std::pair{"geneval-like", cases.correct},
        std::pair{"strict", cases.strict}, std::pair{"graded", cases.graded}}) {
    EXPECT_TRUE(scores.metrics.at(name).equal(torch::tensor(wanted)))
        << name << scores.metrics.at(name);
  }
  expect_each_picture_alone(*reward, asked);
  // More pictures than are looked at together.
  auto many = asked;
  many.images = asked.images.repeat({3, 1, 1, 1});
  for (int64_t i = 1; i < 3; ++i) {
    many.prompts.insert(many.prompts.end(), asked.prompts.begin(),
                        asked.prompts.end());
  }
  ASSERT_GT(std::ssize(many.prompts), 32);
  EXPECT_TRUE(score(*reward, many).value.equal(scores.value.repeat({3})));
}

TEST_P(GenevalOn, TakesWholeTensorsAndThresholdsOfOnesOwn) {
  const auto folder = written("tensors");
  write_tensors_detector(folder + "/detector.pt");
  Cases c;
  const auto bench = prompt_of("single_object", json::array({clause("bench")}));
  const auto counted = prompt_of("counting", json::array({clause("bench")}));
  for (const auto& prompt : {bench, counted}) {
    for (const float level : {0.2F, 0.4F, 0.95F}) {
      c.prompts.push_back(prompt);
      c.pictures.push_back(at::full({3, 64, 64}, level));
    }
  }
  const auto strict = [&] {
    const auto reward = made("tensors");
    reward->check();
    return score(*reward, pictures_of(c)).metrics.at("strict");
  };
  // Above .3; where objects are counted, above .9.
  EXPECT_TRUE(strict().equal(torch::tensor({0.F, 1.F, 1.F, 0.F, 0.F, 1.F})));
  write_json_atomic(folder + "/geneval.json",
                    {{"threshold", 0.1}, {"counting_threshold", 0.3}});
  EXPECT_TRUE(strict().equal(torch::tensor({1.F, 1.F, 1.F, 0.F, 1.F, 1.F})));
}

TEST_P(GenevalOn, AClipTellsColoursAndOnlyPublishedPartsAreCalledGeneval) {
  at::set_num_threads(1);
  const auto folder = written("clipped");
  write_small_clip(folder + "/clip");
  write_json_atomic(folder + "/own.json", {{"published", true}});
  const auto reward = made("clipped/own.json");
  reward->check();
  EXPECT_EQ(reward->main_metric(), "geneval");
  EXPECT_EQ(made("clipped")->main_metric(), "geneval-like");
  Cases c;
  for (const char* colour : geneval::kColours) {
    c.prompts.push_back(prompt_of(
        "colors", json::array({clause("bench", {{"color", colour}})})));
    c.pictures.push_back(picture_of({{"bench", 1, 1, kBlue}}));
  }
  const auto asked = pictures_of(c);
  const auto scores = score(*reward, asked);
  // One picture has one colour: that of the nearest text.
  const auto bench = geneval::part_of(asked.images[0], {18, 18, 30, 24}, {});
  const geneval::ColoursByClip clip(
      "test", folder + "/clip", ClipTowersOptions{device(), at::kFloat, true});
  const auto nearest = clip.cosines({bench}, {"bench"}).argmax(1);
  const auto right = scores.metrics.at("geneval");
  EXPECT_EQ(right.sum().item<float>(), 1);
  EXPECT_EQ(right.argmax().item<int64_t>(), nearest.item<int64_t>());
  // What it holds, as forecasts count it: some small files of texts with it.
  double numbers = 0;
  for (const auto& [name, tensor] :
       read_safetensors(folder + "/clip/model.safetensors").tensors) {
    numbers += static_cast<double>(tensor.numel());
  }
  const auto file = static_cast<double>(fs::file_size(folder + "/detector.pt"));
  const auto held = judge_memory(spec_of("geneval:" + folder), 4);
  EXPECT_NEAR(held.weights, file + 4 * numbers, 4096);
  EXPECT_GE(held.weights, file + 4 * numbers);
  EXPECT_EQ(judge_memory(spec_of("geneval:nowhere"), 4).weights, 0);
  for (const json& other : {json{{"published", true}, {"colours", "hue"}},
                            json{{"published", true}, {"threshold", 0.2}}}) {
    write_json_atomic(folder + "/own.json", other);
    expect_parts(check_error("clipped/own.json"), {"own.json", "published"});
  }
  write_json_atomic(folder + "/own.json",
                    {{"published", true}, {"detector", "yolox.onnx"}});
  expect_parts(check_error("clipped/own.json"),
               {"own.json: published", "yolox.onnx is an ONNX file",
                "exported to TorchScript"});
  fs::rename(folder + "/detector.pt", folder + "/detector.onnx");
  write_json_atomic(folder + "/own.json", {{"published", true}});
  expect_parts(check_error("clipped/own.json"), {"detector.onnx is an ONNX"});
}

TEST_P(GenevalOn, WrongDetectorsAreRefusedBeforeARun) {
  const auto folder = written("wrong");
  const std::string start =
      "  n = images.size(0)\n"
      "  boxes = torch.ones([n, 2, 4], device=images.device)\n"
      "  scores = torch.ones([n, 2], device=images.device)\n"
      "  classes = torch.ones([n, 2], dtype=4, "
      "device=images.device)\n";
  const std::string three = "Tuple[Tensor, Tensor, Tensor]";
  const auto error = [&](const std::string& result, const std::string& body,
                         const std::string& more = "") {
    write_module(folder + "/detector.pt", result, start + "  " + body + "\n",
                 more);
    const auto text = check_error("wrong");
    expect_parts(text, {"[reward geneval:" + folder + "]"});
    return text;
  };
  expect_parts(error("Tensor", "return boxes"), {"returns a Tensor", "boxes"});
  expect_parts(error(three, "return boxes, scores[:, :1], classes"),
               {"boxes", "[2, 4]"});
  expect_parts(error(three, "return boxes, scores, classes[:3]"),
               {"classes", "3 pictures", "8"});
  expect_parts(error(three, "return boxes, scores, classes + 2"),
               {"class 3", "3"});
  expect_parts(error(three, "return boxes, scores, scores"),
               {"classes", "integers"});
  expect_parts(error(three, "return boxes, scores / 0, classes"),
               {"scores", "not all finite"});
  expect_parts(error("Tuple[Tensor, Tensor, Tensor, Tensor]",
                     "return boxes, scores, classes, boxes"),
               {"masks", "[2, 4]", "[2,224,224]"});
  expect_parts(
      error(three, "return boxes, scores, classes", ", texts: List[str]"),
      {"takes 2 arguments"});
}

TEST_P(GenevalOn, MissingAndWrongFilesAreNamed) {
  expect_parts(check_error("none"), {"none/classes.txt", "no file"});
  const auto folder = written("files");
  fs::remove(folder + "/detector.pt");
  expect_parts(check_error("files"), {"files/detector.pt", "no file"});
  write_file_atomic(folder + "/classes.txt", "bench\nvase\n\nbench\n");
  expect_parts(check_error("files"), {"classes.txt:4", "\"bench\"", "twice"});
  write_file_atomic(folder + "/classes.txt", "\n\n");
  expect_parts(check_error("files"), {"names no class"});
  write_json_atomic(folder + "/geneval.json", {{"treshold", 0.5}});
  expect_parts(check_error("files"), {"geneval.json", "treshold"});
  EXPECT_THROW(make_any_reward(spec_of("geneval:"), kNeverStops), UsageError);
  // What a run rests on.
  write_json_atomic(folder + "/geneval.json",
                    {{"detector", "a.pt"}, {"colours", "c"}});
  EXPECT_EQ(
      network_places("geneval:" + folder),
      (std::vector<std::string>{folder + "/geneval.json", folder + "/a.pt",
                                folder + "/classes.txt", folder + "/c"}));
}

TEST_P(GenevalOn, PromptsItCannotJudgeAreNamed) {
  written("whole");
  const auto reward = made("whole");
  auto asked = pictures_of(six_tasks());
  asked.prompts[3].metadata = "";
  asked.prompts[3].text = "a cat";
  expect_parts(score_error(*reward, asked), {"\"a cat\"", "no metadata"});
  asked.prompts[3] = prompt_of("single_object", json::array({clause("clok")}));
  expect_parts(score_error(*reward, asked), {"\"clok\"", "clock"});
  expect_parts(error_of([&] { reward->check_inputs(asked.prompts, 64, 64); }),
               {"\"clok\"", "clock"});
}

TEST(GenevalColours, AreThoseOfTransformers) {
  const TemporaryFolder out;
  write_small_clip(out / "clip");
  const auto image = test_pictures(1, 24, 30).images[0];
  const auto mask = test_normal(50, {24, 30}) > 0;
  const std::vector<std::array<float, 4>> boxes = {
      {0, 0, 30, 24}, {2.5, 3.5, 20.2, 17.9}, {5, 5, 8, 20}, {1, 1, 14, 15}};
  const std::vector<std::string> names = {"bench", "red circle", "cat",
                                          "bench"};
  std::vector<torch::Tensor> rows;
  std::vector<geneval::Part> masked, plain;
  for (const auto& b : boxes) {
    rows.push_back(torch::tensor(at::ArrayRef<float>(b)));
    const geneval::Box box = {b[0], b[1], b[2], b[3]};
    masked.push_back(geneval::part_of(image, box, mask));
    plain.push_back(geneval::part_of(image, box, {}));
  }
  write_safetensors(out / "inputs.safetensors", {{"image", image.contiguous()},
                                                 {"mask", mask.to(at::kFloat)},
                                                 {"boxes", at::stack(rows)}});
  write_json_atomic(out / "names.json", names);
  run_python("geneval_clip_peer.py", out.path());
  const auto peer = read_safetensors(out / "peer.safetensors").tensors;
  const geneval::ColoursByClip clip("test", out / "clip", {});
  const auto found = clip.cosines(masked, names);
  EXPECT_LT(relative(found, peer.at("cosines")), 5e-5);
  EXPECT_LT(relative(clip.cosines(plain, names), peer.at("plain")), 5e-5);
  EXPECT_GT(relative(found, peer.at("plain")), 1e-2);
  EXPECT_TRUE(clip.cosines({}, {}).sizes() == at::IntArrayRef({0, 10}));
}

}  // namespace
}  // namespace rsm
