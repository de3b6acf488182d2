#include "rsm/pretrain/pretrain.h"

#include <algorithm>
#include <cstdio>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/models/loading.h"
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

void read_training(const Config& section, PretrainOptions& o) {
  o.images = section.integer("images", o.images, 1, kMostImages);
  o.batch = section.integer("batch", o.batch, 1, 65536);
  o.muon_lr = section.real("muon_lr", o.muon_lr, 0, kMostRate);
  o.adamw_lr = section.real("adamw_lr", o.adamw_lr, 0, kMostRate);
  o.warmup = section.integer("warmup", o.warmup, 0, kMostImages);
  o.cooldown = section.real("cooldown", o.cooldown, 0, 1);
  o.ema = section.real("ema", o.ema, 0, 1);
  if (o.family == Family::flow) {
    o.time_mean = section.real("time_mean", o.time_mean, -100, 100);
    o.time_std = section.real("time_std", o.time_std, 0, 100);
  }
  o.save_every = section.integer("save_every", o.save_every, 1, kMostImages);
}

PretrainOptions read_options(const Config& config) {
  PretrainOptions o;
  const std::string name = read_name(config);
  o.run_folder = config.text("folder", "runs/" + name);
  o.model_folder = config.text("output", o.run_folder + "/final");
  o.seed = static_cast<uint64_t>(config.integer("seed", 42, 0));
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

}  // namespace

void add_pretrain(CLI::App& app, Action& action) {
  auto args = std::make_shared<ConfigArguments>();
  auto* command = app.add_subcommand(
      "pretrain",
      "Train a small text-to-image model on the shapes world.\n"
      "Running the same command again continues it.\n\n"
      "  rsm pretrain configs/shapes/pretrain-flow.yaml\n"
      "  rsm pretrain configs/shapes/pretrain-diffusion.yaml\n");
  args->add_to(*command);
  command->callback([args, &action] {
    action = [args] {
      const auto options = read_options(args->load());
      require_device(options.device);
      check_output_folder("folder", options.run_folder);
      check_output_folder("output", options.model_folder);
      watch_for_interrupts();
      TerminalProgress progress;
      if (!pretrain(options, progress)) {
        progress.say("stopped and saved; run the same command to go on");
        return kFailed;
      }
      std::printf("model written to %s\n", options.model_folder.c_str());
      return kDone;
    };
  });
}

}  // namespace rsm
