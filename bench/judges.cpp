// Pictures a second of each judge at its published size, with and without the
// gradient, and the memory of a process that judges.
//
//   cmake --build build --target rsm_judges
//   build/rsm_judges FOLDER [REWARD...]
//
// Networks have random weights, on which speed does not depend: a CLIP ViT-L/14
// and ViT-H/14 are written to FOLDER, 5.6 GB, unless they are there. RSM_ASSETS
// names a folder with detector/, for geneval. REWARDs, such as ocr:FOLDER, are
// measured besides. A judge has all cores and a process of its own; texts are
// encoded before the clock starts, as they are kept in a run.

#include <sys/wait.h>
#include <torch/script.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/memory.h"
#include "rsm/base/random.h"
#include "rsm/data/brisque.h"
#include "rsm/data/niqe.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/clip_vision.h"
#include "rsm/models/loading.h"
#include "rsm/runs/machine.h"
#include "rsm/text/clip_text.h"
#include "rsm/text/clip_tokenizer.h"

namespace rsm {
namespace {

constexpr double kSeconds =
    5;  ///< of repeated rounds, the best of which counts
constexpr int64_t kPixels = 512;

const Prompt kShapesPrompt = {0, "a red circle", ""};
/** With what GenEval and OCR look for. */
const Prompt kPrompt = {
    0, "two clocks and the words \"late again\"", "counting",
    R"({"tag":"counting","include":[{"class":"clock","count":2}]})"};

int cores() {
  return static_cast<int>(
      std::max<int64_t>(1, std::thread::hardware_concurrency()));
}

/** Runs in a process of its own, whose peak of memory is the work's alone. */
void apart(const std::string& name, const std::function<void()>& work) {
  std::fflush(nullptr);
  const pid_t child = fork();
  RSM_CHECK(child >= 0, "[judges] no process can be started for ", name);
  if (child == 0) {
    try {
      at::set_num_threads(cores());
      work();
    } catch (const std::exception& error) {
      std::printf("%-36s %s\n", name.c_str(), error.what());
    }
    std::fflush(nullptr);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    std::printf("%-36s ended by signal %d\n", name.c_str(), WTERMSIG(status));
  }
}

/** Smooth noise, which no judge takes for a flat picture: [count,3,side,side]
 * in [0,1]. */
torch::Tensor pictures(int64_t count, int64_t side) {
  const auto coarse = counted_normal(7, {count, 3, side / 8, side / 8});
  const auto fine = counted_normal(8, {count, 3, side, side});
  return (at::upsample_bilinear2d(coarse, {side, side}, false) + 0.1 * fine)
      .sigmoid();
}

/** Of one round of work that is warm already. */
double seconds_of(const std::function<void()>& work) {
  double best = INFINITY;
  const Clock all;
  do {
    const Clock clock;
    work();
    best = std::min(best, clock.seconds());
  } while (all.seconds() < kSeconds);
  return best;
}

/** Of so many pictures; NaN: not measured. */
std::string speed(double seconds, int64_t pictures) {
  if (std::isnan(seconds)) return cat(std::string(11, ' '), "-           -");
  char text[64];
  const auto count = static_cast<double>(pictures);
  std::snprintf(text, sizeof text, "%12.4g %11.4g", count / seconds,
                1000 * seconds / count);
  return text;
}

void print_row(const std::string& name, int64_t side, const std::string& score,
               const std::string& gradient) {
  std::printf("%-36s %6lld %s %s %9.0f\n", name.c_str(),
              static_cast<long long>(side), score.c_str(), gradient.c_str(),
              peak_memory_mb(at::kCPU));
}

/** A reward and what it is shown. */
struct Judge {
  std::string title;
  std::string reward;  ///< as make_any_reward takes it
  int64_t pictures = 16;
  int64_t followed = 8;  ///< pictures whose gradient is asked for at once
  int64_t side = kPixels;
  Prompt prompt = kPrompt;
};

void measure(const Judge& judge) {
  const NoProgress silent;
  RewardSpec spec;
  spec.name = judge.reward;
  const auto reward = make_any_reward(spec, silent);
  reward->check();
  const auto follow = [&](int64_t count) {
    const auto leaf = pictures(count, judge.side).requires_grad_(true);
    reward->value_of(leaf, Prompts(count, judge.prompt)).sum().backward();
  };
  const auto images = pictures(judge.pictures, judge.side);
  const Prompts prompts(judge.pictures, judge.prompt);
  double gradient = NAN;
  if (reward->is_differentiable()) {
    follow(1);
    gradient = seconds_of([&] { follow(judge.followed); });
  } else {
    reward->score(images.slice(0, 0, 1), {judge.prompt});
  }
  const double score = seconds_of([&] { reward->score(images, prompts); });
  print_row(judge.title, judge.side, speed(score, judge.pictures),
            speed(gradient, judge.followed));
}

/** Statistics that NIQE and BRISQUE compare with their parameters. */
void measure_features(const std::string& title,
                      torch::Tensor (*features)(const torch::Tensor&)) {
  const auto picture = pictures(1, kPixels)[0];
  features(picture);
  print_row(title, kPixels, speed(seconds_of([&] { features(picture); }), 1),
            speed(NAN, 1));
}

/** Sizes of one tower. */
struct TowerSize {
  int64_t width, layers, heads;
};

void set_layers(ClipLayerConfig& c, const TowerSize& size, int64_t projection) {
  c.hidden_size = size.width;
  c.intermediate_size = 4 * size.width;
  c.num_hidden_layers = size.layers;
  c.num_attention_heads = size.heads;
  c.projection_dim = projection;
}

void add_random(const torch::nn::Module& tower, StateDict& out) {
  for (const auto& [name, tensor] : state_dict(tower)) {
    if (!tensor.is_floating_point()) {
      out[name] = tensor;
    } else if (tensor.dim() > 1) {
      out[name] = 0.02 * at::randn_like(tensor);
    } else {
      out[name] = at::full_like(tensor, name.ends_with("weight") ? 1 : 0);
    }
  }
}

/** The head of LAION's ratings, 768-1024-128-64-16-1, of such features. */
StateDict random_head(int64_t width) {
  StateDict out;
  const std::vector<int64_t> widths = {width, 1024, 128, 64, 16, 1};
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    const auto name = cat("layers.", 2 * i);
    out[name + ".weight"] = 0.05 * at::randn({widths[i + 1], widths[i]});
    out[name + ".bias"] = at::zeros({widths[i + 1]});
  }
  return out;
}

/** A CLIP in transformers' layout, patches of 14 pixels, with a tokenizer of
 * few words and a head of ratings. Leaves one that is there. */
void write_clip(const std::string& folder, int64_t projection,
                const TowerSize& vision_size, const TowerSize& text_size) {
  if (is_file(folder + "/head.safetensors")) return;  // written last
  write_word_vocabulary(folder + "/tokenizer", {"two", "clocks"}, 77);
  ClipVisionConfig vision;
  set_layers(vision, vision_size, projection);
  vision.patch_size = 14;
  ClipTextConfig text;
  set_layers(text, text_size, projection);
  text.eos_token_id = 2;  // the largest id, as in CLIP's own configs
  StateDict weights = {{"logit_scale", at::full({}, 4.6F)}};
  add_random(*ClipVisionModel(vision), weights);
  add_random(*ClipTextModel(text, true), weights);
  write_json_atomic(folder + "/config.json",
                    {{"model_type", "clip"},
                     {"projection_dim", projection},
                     {"vision_config", vision.to_json()},
                     {"text_config", text.to_json(true)}});
  write_safetensors(folder + "/model.safetensors", weights, {{"format", "pt"}});
  write_safetensors(folder + "/head.safetensors", random_head(projection));
}

/** Two convolutions and a mean. */
void write_small_network(const std::string& file) {
  torch::jit::Module module("small");
  module.register_parameter("first", 0.05 * at::randn({32, 3, 7, 7}), false);
  module.register_parameter("second", 0.05 * at::randn({64, 32, 3, 3}), false);
  module.define(R"(
def forward(self, images: Tensor) -> Tensor:
  x = torch.relu(torch.conv2d(images, self.first, None, [4, 4]))
  return torch.conv2d(x, self.second, None, [2, 2]).mean([1, 2, 3])
)");
  module.save(file);
}

void write_geneval(const std::string& file, const std::string& assets) {
  write_json_atomic(file, {{"detector", assets + "/detector/yolox_nano.onnx"},
                           {"classes", assets + "/detector/coco_classes.txt"}});
}

void write_networks(const std::string& folder) {
  make_folders(folder);
  apart("weights", [&] {
    write_clip(folder + "/vit-l", 768, {1024, 24, 16}, {768, 12, 12});
  });
  apart("weights", [&] {
    write_clip(folder + "/vit-h", 1024, {1280, 32, 16}, {1024, 24, 16});
  });
  apart("small network", [&] { write_small_network(folder + "/small.pt"); });
}

std::vector<Judge> small_judges(const std::string& folder,
                                const std::vector<std::string>& more) {
  std::vector<Judge> out = {
      {"shapes", "shapes", 512, 0, 32, kShapesPrompt},
      {"shapes-soft", "shapes-soft", 512, 64, 32, kShapesPrompt},
      {"jpeg-compressibility", "jpeg-compressibility"},
      {"colourfulness", "colourfulness"},
      {"target-colour", "target-colour"},
      {"torchscript, 2 convolutions", "torchscript:" + folder + "/small.pt"}};
  if (const char* assets = std::getenv("RSM_ASSETS")) {
    const std::string file = folder + "/geneval.json";
    write_geneval(file, assets);
    out.push_back({"geneval, YOLOX-Nano and hues", "geneval:" + file});
  }
  for (const auto& reward : more) {
    out.push_back({reward.substr(0, reward.find(':')), reward});
  }
  return out;
}

/** Seconds a picture each. */
std::vector<Judge> large_judges(const std::string& folder) {
  const std::string large = folder + "/vit-l", huge = folder + "/vit-h";
  return {{"aesthetic, ViT-L/14", "aesthetic:" + large, 8, 1},
          {"clip-score, ViT-L/14", "clip-score:" + large, 8, 1},
          {"pick-score, ViT-H/14", "pick-score:" + huge, 8, 1},
          {"hps-v2.1, ViT-H/14", "hps-v2.1:" + huge, 8, 1}};
}

void measure_all(const std::vector<Judge>& judges) {
  for (const auto& judge : judges) {
    apart(judge.title, [&] { measure(judge); });
  }
}

void run(const std::string& folder, const std::vector<std::string>& more) {
  std::printf(
      "%d cores, %s\nrandom weights, float32; speed does not depend "
      "on them\n\n",
      cores(), machine_fingerprint(at::kCPU, 8).c_str());
  write_networks(folder);
  std::printf("%-36s %6s %24s %24s %9s\n%-36s %6s %12s %11s %12s %11s %9s\n",
              "", "", "scores", "with the gradient", "peak", "judge", "pixels",
              "pictures/s", "ms each", "pictures/s", "ms each", "MiB");
  measure_all(small_judges(folder, more));
  apart("niqe", [] { measure_features("niqe's statistics", niqe_features); });
  apart("brisque",
        [] { measure_features("brisque's statistics", brisque_features); });
  measure_all(large_judges(folder));
}

}  // namespace
}  // namespace rsm

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: rsm_judges FOLDER [REWARD...]\n");
    return 2;
  }
  rsm::run(argv[1], {argv + 2, argv + argc});
  return 0;
}
