#include "rsm/train/pretrain.h"

#include <cstdio>

#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/terminal_progress.h"

namespace rsm {
namespace {

PretrainOptions read_options(const Config& config) {
  PretrainOptions o;
  const std::string name = config.text("name");
  o.run_folder = config.text("folder", "runs/" + name);
  o.model_folder = config.text("output", o.run_folder + "/final");
  o.seed = static_cast<uint64_t>(config.integer("seed", 42, 0));
  const auto model = config.section("model");
  o.family = model.choice("family", "flow", {"flow", "diffusion"}) == "flow"
                 ? Path::Family::flow
                 : Path::Family::diffusion;
  o.width = model.integer("width", o.width, 8, 4096);
  o.heads = model.integer("heads", o.heads, 1, 64);
  if (o.family == Path::Family::flow) {
    o.layers = model.integer("layers", o.layers, 1, 64);
    o.patch = model.integer("patch", o.patch, 1, 32);
  } else {
    o.channels = model.integers("channels", o.channels, 8, 4096);
  }
  o.text_layers = model.integer("text_layers", o.text_layers, 1, 64);
  o.max_tokens = model.integer("max_tokens", o.max_tokens, 2, 77);
  const auto data = config.section("data");
  o.caption_noise = data.real("caption_noise", o.caption_noise, 0, 1);
  o.caption_dropout = data.real("caption_dropout", o.caption_dropout, 0, 1);
  const auto train = config.section("train");
  o.images = train.integer("images", o.images, 1);
  o.batch = train.integer("batch", o.batch, 1, 65536);
  o.muon_lr = train.real("muon_lr", o.muon_lr, 0);
  o.adamw_lr = train.real("adamw_lr", o.adamw_lr, 0);
  o.warmup = train.integer("warmup", o.warmup, 0);
  o.cooldown = train.real("cooldown", o.cooldown, 0, 1);
  o.ema = train.real("ema", o.ema, 0, 1);
  if (o.family == Path::Family::flow) {
    o.time_mean = train.real("time_mean", o.time_mean);
    o.time_std = train.real("time_std", o.time_std, 0);
  }
  o.save_every = train.integer("save_every", o.save_every, 1);
  o.threads = config.section("compute").integer("threads", 0, 0, 1024);
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
      watch_for_interrupts();
      TerminalProgress progress;
      if (!pretrain(options, progress, interrupted)) {
        progress.say("stopped and saved; run the same command to go on");
        return kFailed;
      }
      std::printf("model written to %s\n", options.model_folder.c_str());
      return kDone;
    };
  });
}

}  // namespace rsm
