#include "rsm/pretrain/pretrain.h"

#include <algorithm>
#include <cstdio>

#include "rsm/base/communicator.h"
#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/models/loading.h"
#include "rsm/pretrain/scorer.h"
#include "rsm/runs/run_options.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

constexpr int64_t kMostImages = 1000000000000;
constexpr double kMostRate = 100;

void read_model(const Config& section, PretrainOptions& o) {
  constexpr int64_t kGroups = 8;  // of the UNet's norms
  const bool flow =
      section.choice("family", "flow", {"flow", "diffusion"}) == "flow";
  o.family = flow ? Family::flow : Family::diffusion;
  if (section.is_wrong("family")) section.allow_any_key();
  o.width = section.integer("width", o.width, 8, 4096);
  o.heads = section.integer("heads", o.heads, 1, 64);
  if (o.width % o.heads != 0) {
    section.note("heads", cat(o.heads, " heads over a width of ", o.width,
                              "; they must divide it"));
  }
  if (flow) {
    o.layers = section.integer("layers", o.layers, 1, 64);
    o.patch = section.integer("patch", o.patch, 1, shapes::kSize);
    if (shapes::kSize % o.patch != 0) {
      section.note("patch", cat("patches of ", o.patch, " over ", shapes::kSize,
                                " pixels; they must divide them"));
    }
  } else {
    o.channels = section.integers("channels", o.channels, 8, 4096);
    const bool even = std::all_of(
        o.channels.begin(), o.channels.end(),
        [&](int64_t c) { return c % kGroups == 0 && c % o.heads == 0; });
    if (o.channels.empty() || o.channels.size() > 6 || !even) {
      section.note("channels",
                   cat("1 to 6 levels are needed, each divisible by ", kGroups,
                       " and by the ", o.heads, " heads"));
    }
  }
  o.text_layers = section.integer("text_layers", o.text_layers, 1, 64);
  o.max_tokens = section.integer("max_tokens", o.max_tokens, 2, 77);
}

void read_learning(const Config& section, LearningOptions& o) {
  o.images = section.integer("images", o.images, 1, kMostImages);
  o.batch = section.integer("batch", o.batch, 1, 65536);
  o.muon_lr = section.real("muon_lr", o.muon_lr, 0, kMostRate);
  o.adamw_lr = section.real("adamw_lr", o.adamw_lr, 0, kMostRate);
  o.warmup = section.integer("warmup", o.warmup, 0, kMostImages);
  o.cooldown = section.real("cooldown", o.cooldown, 0, 1);
  o.ema = section.real("ema", o.ema, 0, 1);
  o.save_every = section.integer("save_every", o.save_every, 1, kMostImages);
}

void read_training(const Config& section, PretrainOptions& o) {
  read_learning(section, o);
  if (o.family == Family::flow) {
    o.time_mean = section.real("time_mean", o.time_mean, -100, 100);
    o.time_std = section.real("time_std", o.time_std, 0, 100);
  }
}

/** Folders and the seed; returns where the finished model goes. */
std::string read_places(const Config& config, LearningOptions& o,
                        uint64_t& seed) {
  const std::string name = read_name(config);
  o.run_folder = config.text("folder", "runs/" + name);
  seed = static_cast<uint64_t>(config.integer("seed", 42, 0));
  return config.text("output", o.run_folder + "/final");
}

PretrainOptions read_options(const Config& config) {
  PretrainOptions o;
  o.model_folder = read_places(config, o, o.seed);
  const auto model = config.section("model");
  read_model(model, o);
  const auto data = config.section("data");
  o.caption_noise = data.real("caption_noise", o.caption_noise, 0, 1);
  o.caption_dropout = data.real("caption_dropout", o.caption_dropout, 0, 1);
  const auto train = config.section("train");
  if (model.is_wrong("family")) train.allow_any_key();
  read_training(train, o);
  const auto compute = config.section("compute");
  o.device = read_device(compute);
  o.threads = compute.integer("threads", 0, 0, 1024);
  config.done();
  return o;
}

void read_scorer(const Config& section, shapes::ScorerConfig& o) {
  constexpr int64_t kGroups = 8;  // of its norms
  o.stem = section.integer("stem", o.stem, 8, 4096);
  o.width = section.integer("width", o.width, 8, 4096);
  o.blocks = section.integer("blocks", o.blocks, 0, 64);
  o.judge = section.integer("judge", o.judge, 1, 4096);
  for (const auto& [key, channels] :
       {std::pair("stem", o.stem), std::pair("width", o.width)}) {
    if (channels % kGroups != 0) {
      section.note(key, cat(channels, " channels; a multiple of ", kGroups,
                            " is needed"));
    }
  }
}

ScorerOptions read_scorer_options(const Config& config) {
  constexpr int64_t kMostPictures = 10000000;
  ScorerOptions o;
  o.model_folder = read_places(config, o, o.seed);
  read_scorer(config.section("model"), o.network);
  const auto data = config.section("data");
  o.model = data.text("model", o.model);
  o.samples = data.integer("samples", o.samples, 1, kMostPictures);
  o.calibration = data.integer("calibration", o.calibration, 0, kMostPictures);
  o.sample_share = data.real("sample_share", o.sample_share, 0, 1);
  o.noise = data.real("noise", o.noise, 0, 1);
  const auto train = config.section("train");
  read_learning(train, o);
  o.object_weight = train.real("object_weight", o.object_weight, 0, 1000);
  const auto measure = config.section("measure");
  o.measured_renders =
      measure.integer("renders", o.measured_renders, 1, kMostPictures);
  o.measured_samples =
      measure.integer("samples", o.measured_samples, 1, kMostPictures);
  o.measured_models = measure.texts("models", o.measured_models);
  const auto compute = config.section("compute");
  o.device = read_device(compute);
  o.threads = compute.integer("threads", 0, 0, 1024);
  config.done();
  return o;
}

void print_measure(const ScorerMeasure& measure) {
  std::printf(
      "\n%s: %lld pictures of held-out captions, %.1f %% true: accuracy %.2f "
      "%%, calibration error %.3f\n  %-10s %8s %12s %6s\n",
      measure.what.c_str(), static_cast<long long>(measure.count),
      100 * measure.truth, 100 * measure.accuracy, measure.calibration_error,
      "chance", "pictures", "mean chance", "true");
  for (size_t i = 0; i < measure.bins.size(); ++i) {
    const auto& bin = measure.bins[i];
    const double low = static_cast<double>(i) / 10;
    std::printf("  %.1f - %.1f  %8lld", low, low + 0.1,
                static_cast<long long>(bin.count));
    if (bin.count > 0) std::printf(" %12.3f %6.3f", bin.chance, bin.truth);
    std::printf("\n");
  }
}

/** Refuses a device or folders before anything is computed. */
template <typename Options>
void check_places(const Options& options) {
  require_device(options.device);
  check_output_folder("folder", options.run_folder);
  check_output_folder("output", options.model_folder);
  watch_for_interrupts();
}

int stopped(TerminalProgress& progress) {
  progress.say("stopped and saved; run the same command to go on");
  return stopped_status();
}

int make_model(const Config& config) {
  const auto options = read_options(config);
  check_places(options);
  TerminalProgress progress;
  if (!pretrain(options, progress)) return stopped(progress);
  std::printf("model written to %s\n", options.model_folder.c_str());
  return kDone;
}

int make_scorer(const Config& config) {
  const auto options = read_scorer_options(config);
  check_places(options);
  TerminalProgress progress;
  if (!pretrain_scorer(options, progress)) return stopped(progress);
  std::printf("scorer written to %s\n", options.model_folder.c_str());
  for (const auto& measure : measure_scorer(options, progress)) {
    print_measure(measure);
  }
  return kDone;
}

int run_pretraining(const Config& config) {
  check_sole_process("[pretrain]", "");
  const auto kind =
      config.choice("kind", "text-to-image", {"text-to-image", "scorer"});
  if (config.is_wrong("kind")) {
    config.allow_any_key();
    config.done();
  }
  return kind == "scorer" ? make_scorer(config) : make_model(config);
}

}  // namespace

void add_pretrain(CLI::App& app, Action& action) {
  auto args = std::make_shared<ConfigArguments>();
  auto* command = app.add_subcommand(
      "pretrain",
      "Train a small text-to-image model on the shapes world, or the scorer "
      "of the reward shapes-soft.\n"
      "Running the same command again continues it. A finished scorer is "
      "measured.\n\n"
      "  rsm pretrain configs/shapes/pretrain-flow.yaml\n"
      "  rsm pretrain configs/shapes/pretrain-diffusion.yaml\n"
      "  rsm pretrain configs/shapes/pretrain-scorer.yaml\n");
  args->add_to(*command);
  command->callback([args, &action] {
    action = [args] { return run_pretraining(args->load()); };
  });
}

}  // namespace rsm
