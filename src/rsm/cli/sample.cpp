#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/model_arguments.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/io/image.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"
#include "rsm/io/safetensors.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

struct SampleArguments : ModelArguments {
  std::vector<std::string> prompts;
  std::string output = "samples.png";
  std::string noise, latents;
  int64_t count = 1;
  int64_t zoom = 4;
  bool json = false;
};

/** `latents` of a safetensors file, as many as there are samples. */
torch::Tensor read_noise(const std::string& path, int64_t samples,
                         const std::vector<int64_t>& latent_shape) {
  const auto file = read_safetensors(path);
  const auto found = file.tensors.find("latents");
  std::vector<int64_t> shape = {samples};
  shape.insert(shape.end(), latent_shape.begin(), latent_shape.end());
  if (found == file.tensors.end() || found->second.sizes() != shape) {
    throw UsageError(cat("[sample] ", path, " has ",
                         found == file.tensors.end()
                             ? std::string("no tensor")
                             : cat("a tensor of shape ", found->second.sizes()),
                         " called \"latents\"; one of shape ",
                         at::IntArrayRef(shape),
                         " is needed: prompts x --count samples"));
  }
  return found->second.to(torch::kFloat32);
}

/** Everything that can be refused before the model is loaded. */
void check_arguments(const SampleArguments& args) {
  for (const auto& prompt : args.prompts) {
    if (find_not_utf8(prompt) != std::string::npos) {
      throw UsageError(cat("[sample] the prompt \"", shown(prompt),
                           "\" is not UTF-8; type it in a UTF-8 locale"));
    }
  }
  check_output_file("-o", args.output);
  if (args.latents.empty()) return;
  check_output_file("--latents", args.latents);
  if (args.latents == args.output) {
    throw UsageError(cat("[sample] -o and --latents both name ", args.output,
                         "; give each a file of its own"));
  }
}

/** How many pictures stand beside each other. */
int64_t columns_of(const SampleArguments& args) {
  const auto prompts = static_cast<int64_t>(args.prompts.size());
  return prompts > 1 && args.count > 1
             ? args.count
             : std::min<int64_t>(prompts * args.count, 8);
}

/** Throws where the grid would be larger than a PNG file may be. */
void check_grid(const SampleArguments& args,
                const std::vector<int64_t>& latent_shape) {
  constexpr int64_t kMostPixels = int64_t{1} << 28;  // write_png's
  const auto samples = static_cast<int64_t>(args.prompts.size()) * args.count;
  const int64_t columns = columns_of(args);
  const int64_t rows = (samples + columns - 1) / columns;
  const int64_t height = rows * (latent_shape[1] * args.zoom + 2);
  const int64_t width = columns * (latent_shape[2] * args.zoom + 2);
  if (height > kMostPixels / width) {
    throw UsageError(cat("[sample] a grid of ", width, " x ", height,
                         " pixels is too large for one file; lower --count or "
                         "--zoom"));
  }
}

int sample(const SampleArguments& args) {
  check_arguments(args);
  const auto loaded = load_for_sampling(args);
  check_grid(args, loaded.latent_shape);
  std::vector<std::string> texts;
  std::vector<torch::Tensor> noise;
  for (size_t p = 0; p < args.prompts.size(); ++p) {
    const Prompt prompt{static_cast<int64_t>(p), args.prompts[p], ""};
    for (int64_t k = 0; k < args.count; ++k) {
      texts.push_back(args.prompts[p]);
      noise.push_back(initial_noise(args.seed, Purpose::initial_noise, 0,
                                    prompt, k, loaded.latent_shape));
    }
  }
  const auto samples = static_cast<int64_t>(texts.size());
  const auto start = args.noise.empty()
                         ? at::cat(noise)
                         : read_noise(args.noise, samples, loaded.latent_shape);
  TerminalProgress progress;
  loaded.warn_of(args.prompts, progress);
  progress.begin("sampling", args.steps);
  const auto latents =
      sample_ode(*loaded.denoiser, *loaded.model.path, loaded.times,
                 start.to(loaded.device), loaded.conditions(texts),
                 [&](int64_t step, const torch::Tensor&, const torch::Tensor&) {
                   progress.update(step + 1, "");
                 })
          .to(torch::kCPU);
  progress.end();
  if (!args.latents.empty()) {
    make_parent(args.latents);
    write_safetensors(args.latents, {{"latents", latents}});
  }
  make_parent(args.output);
  write_png(args.output, image_grid(loaded.model.decoder->decode(latents),
                                    columns_of(args), 2, args.zoom));
  if (args.json) {
    std::printf("%s\n", nlohmann::json{{"images", samples},
                                       {"output", args.output},
                                       {"latents", args.latents}}
                            .dump()
                            .c_str());
  } else {
    std::printf("%lld pictures in %s\n", static_cast<long long>(samples),
                args.output.c_str());
  }
  return kDone;
}

}  // namespace

void add_sample(CLI::App& app, Action& action) {
  auto args = std::make_shared<SampleArguments>();
  auto* command = app.add_subcommand(
      "sample",
      "Draw pictures for prompts.\n\n"
      "  rsm sample models/shapes-flow \"a red circle\" -o circle.png\n"
      "  rsm sample models/shapes-flow \"two crosses\" --count 8 --lora "
      "runs/my-lora/final\n"
      "  rsm sample models/shapes-flow \"a cross\" --noise x.safetensors "
      "--latents y.safetensors\n\n"
      "--noise and --latents hold one tensor \"latents\" [samples,C,H,W], to "
      "compare with other programs.\n");
  args->add_to(*command);
  command->add_option("prompts", args->prompts, "what to draw")->required();
  command->add_option("-o,--output", args->output, "a PNG file, one grid")
      ->capture_default_str();
  command->add_option("--count", args->count, "pictures a prompt")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--noise", args->noise,
                      "safetensors file with the initial noise");
  command->add_option("--latents", args->latents,
                      "safetensors file for the final latents");
  command->add_option("--zoom", args->zoom, "enlargement of the grid")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_flag("--json", args->json, "say in JSON what was written");
  command->callback(
      [args, &action] { action = [args] { return sample(*args); }; });
}

}  // namespace rsm
