#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/cli/among_ranks.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/model_arguments.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/picture_settings.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"
#include "rsm/io/safetensors.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

/** Pixels that small pictures are enlarged to in the grid. */
constexpr int64_t kShownSide = 128;

struct SampleArguments : ModelArguments {
  std::vector<std::string> prompts;
  std::string output = "samples.png";
  std::string pictures;  ///< folder; empty: none
  std::string noise, latents;
  int64_t count = 1;
  int64_t zoom = 0;  ///< 0: to kShownSide or so
  bool json = false;

  int64_t samples() const { return std::ssize(prompts) * count; }
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
  if (!args.pictures.empty()) {
    check_output_folder("--pictures", args.pictures);
    if (!args.noise.empty()) {
      throw UsageError(
          "[sample] --pictures names files by their seeds, which pictures of "
          "--noise do not have; leave one of them out");
    }
  }
  if (args.latents.empty()) return;
  check_output_file("--latents", args.latents);
  if (args.latents == args.output) {
    throw UsageError(cat("[sample] -o and --latents both name ", args.output,
                         "; give each a file of its own"));
  }
}

/** How many pictures stand beside each other. */
int64_t columns_of(const SampleArguments& args) {
  return args.prompts.size() > 1 && args.count > 1
             ? args.count
             : std::min<int64_t>(args.samples(), 8);
}

int64_t zoom_of(const SampleArguments& args, const SamplingModel& loaded) {
  const int64_t side = std::max(loaded.height(), loaded.width());
  return args.zoom > 0 ? args.zoom : std::max<int64_t>(1, kShownSide / side);
}

/** Throws where the grid would be larger than a PNG file may be. */
void check_grid(const SampleArguments& args, const SamplingModel& loaded) {
  constexpr int64_t kMostPixels = int64_t{1} << 28;  // write_png's
  const int64_t columns = columns_of(args), zoom = zoom_of(args, loaded);
  const int64_t rows = (args.samples() + columns - 1) / columns;
  const int64_t height = rows * (loaded.height() * zoom + 2);
  const int64_t width = columns * (loaded.width() * zoom + 2);
  if (height > kMostPixels / width) {
    throw UsageError(cat("[sample] a grid of ", width, " x ", height,
                         " pixels is too large for one file; lower --count or "
                         "--zoom"));
  }
}

/** [pictures,C,H,W] of some pictures, one or more: their first noise, or that
 * of the solver's step i, number i + 1. Picture k of every prompt is that of
 * seed + k. */
torch::Tensor noise_of_seeds(const SampleArguments& args, Share pictures,
                             const std::vector<int64_t>& latent_shape,
                             int64_t number = 0) {
  std::vector<torch::Tensor> noise;
  for (int64_t i = pictures.first; i < pictures.last; ++i) {
    noise.push_back(initial_noise(
        args.seed + static_cast<uint64_t>(i % args.count),
        Purpose::initial_noise, number, Prompt{}, 0, latent_shape));
  }
  return at::cat(noise);
}

/** [pictures,C,H,W] on the CPU: latents of some of all pictures, which stand
 * prompt by prompt. */
torch::Tensor draw_latents(const SampleArguments& args,
                           const SamplingModel& loaded, Share pictures,
                           TerminalProgress& progress) {
  const auto own = [&](const torch::Tensor& all) {
    return all.slice(0, pictures.first, pictures.last);
  };
  const auto& shape = loaded.latent_shape;
  if (pictures.count() == 0)
    return at::empty({0, shape[0], shape[1], shape[2]});
  const auto start = args.noise.empty()
                         ? noise_of_seeds(args, pictures, shape)
                         : own(read_noise(args.noise, args.samples(), shape));
  const auto conditions = loaded.model.text->encode(args.prompts);
  const auto rows =
      at::arange(std::ssize(args.prompts)).repeat_interleave(args.count);
  progress.begin("sampling", args.steps);
  const auto latents =
      sample_by(
          loaded.solving, *loaded.denoiser, *loaded.model.path, loaded.times,
          start.to(loaded.device), {conditions, own(rows)},
          [&](int64_t step) {
            return noise_of_seeds(args, pictures, shape, step + 1)
                .to(loaded.device);
          },
          [&](int64_t step, const torch::Tensor&, const torch::Tensor&) {
            progress.update(step + 1, "");
          })
          .to(torch::kCPU);
  progress.end();
  return latents;
}

/** [B,3,H,W] uint8, decoded a part at a time. */
torch::Tensor decoded_bytes(const SamplingModel& loaded,
                            const torch::Tensor& latents) {
  const auto& decoder = *loaded.model.decoder;
  auto out = at::empty({latents.size(0), 3, loaded.height(), loaded.width()},
                       at::kByte);
  const int64_t held = pictures_at_once(decoder, loaded.latent_shape);
  for (int64_t i = 0; i < latents.size(0); i += held) {
    const auto part = latents.slice(0, i, i + held);
    out.slice(0, i, i + held)
        .copy_(picture_bytes(decoder.decode(part)).permute({0, 3, 1, 2}));
  }
  return out;
}

/** What every rank has of some pictures: those of all. */
torch::Tensor of_all_ranks(Communicator& ranks, int64_t pictures,
                           const torch::Tensor& own) {
  if (ranks.is_sole()) return own;
  auto shape = own.sizes().vec();
  shape[0] = pictures;
  auto all = at::empty(shape, own.options());
  const auto share = ranks.share_of(pictures);
  all.slice(0, share.first, share.last).copy_(own);
  ranks.gather_parts(all, pictures);
  return all;
}

/** As people call what draws pictures. */
std::string sampler_name(const SamplingModel& loaded) {
  switch (loaded.solving.solver) {
    case Solver::euler:
      return loaded.model.path->family() == Family::flow ? "Euler" : "DDIM";
    case Solver::multistep:
      return "Adams-Bashforth 2";
    case Solver::sa:
      return "SA-Solver";
  }
  throw Error("[sample] a solver outside its enum");
}

PictureSettings settings_of(const SampleArguments& args,
                            const SamplingModel& loaded) {
  return {.program = "rsm " RSM_VERSION,
          .model = args.model,
          .lora = args.lora,
          .prompts = args.prompts,
          .negative_prompt = args.negative_prompt,
          .seed = args.seed,
          .count = args.count,
          .noise = args.noise,
          .steps = args.steps,
          .sampler = sampler_name(loaded),
          .guidance_scale = args.guidance_scale,
          .height = loaded.height(),
          .width = loaded.width(),
          .type = args.type,
          .tile = args.tile,
          .text_type = args.text_type,
          .vae_type = args.vae_type,
          .t5 = !args.no_t5,
          .t5_tokens = args.t5_tokens};
}

/** Every picture as a file of its own, under the settings that draw it alone.
 */
void write_pictures(const std::string& folder, const PictureSettings& all,
                    const torch::Tensor& images) {
  make_folders(folder);
  for (int64_t i = 0; i < images.size(0); ++i) {
    auto one = all;
    one.prompts = {all.prompts[static_cast<size_t>(i / all.count)]};
    one.seed = all.seed + static_cast<uint64_t>(i % all.count);
    one.count = 1;
    write_png(
        cat(folder, "/prompt-", i / all.count + 1, "-seed-", one.seed, ".png"),
        images[i], to_png_texts(one));
  }
}

void say_what_was_written(const SampleArguments& args) {
  if (args.json) {
    std::printf("%s\n", nlohmann::json{{"images", args.samples()},
                                       {"output", args.output},
                                       {"pictures", args.pictures},
                                       {"latents", args.latents}}
                            .dump()
                            .c_str());
  } else {
    std::printf("%lld pictures in %s\n", static_cast<long long>(args.samples()),
                args.output.c_str());
  }
}

int sample(const SampleArguments& args, Communicator& ranks) {
  check_arguments(args);
  const auto loaded = load_for_sampling(args, ranks);
  check_grid(args, loaded);
  TerminalProgress progress(/*is_silent=*/!ranks.is_first());
  loaded.warn_of(args.prompts, progress);
  const auto own =
      draw_latents(args, loaded, ranks.share_of(args.samples()), progress);
  const auto latents = args.latents.empty()
                           ? torch::Tensor()
                           : of_all_ranks(ranks, args.samples(), own);
  const auto images =
      of_all_ranks(ranks, args.samples(), decoded_bytes(loaded, own));
  if (!ranks.is_first()) return kDone;
  if (!args.latents.empty()) {
    make_parent(args.latents);
    write_safetensors(args.latents, {{"latents", latents}});
  }
  const auto settings = settings_of(args, loaded);
  make_parent(args.output);
  write_png(args.output,
            image_grid(images, columns_of(args), 2, zoom_of(args, loaded)),
            to_png_texts(settings));
  if (!args.pictures.empty()) write_pictures(args.pictures, settings, images);
  say_what_was_written(args);
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
      "  rsm sample models/shapes-diffusion \"a cross\" --negative blue "
      "--size 32x48 --count 4 --pictures circles\n"
      "  rsm sample models/shapes-flow \"a cross\" --noise x.safetensors "
      "--latents y.safetensors\n"
      "  mpirun -n 4 --bind-to none rsm sample models/shapes-flow \"a cross\" "
      "--count 64\n\n"
      "Picture k of a prompt is that of the seed SEED + k, whatever else is "
      "drawn: --seed 7 --count 4 are the pictures of --seed 7, 8, 9 and 10. "
      "PNG files carry their settings: \"parameters\", as web interfaces read "
      "it, and \"rsm\", as JSON.\n\n"
      "--noise and --latents hold one tensor \"latents\" [samples,C,H,W], to "
      "compare with other programs.\n");
  args->add_to(*command);
  command->add_option("prompts", args->prompts, "what to draw")->required();
  command->add_option("-o,--output", args->output, "a PNG file, one grid")
      ->capture_default_str();
  command->add_option("--pictures", args->pictures,
                      "a folder, where each picture is a file of its own, too");
  command->add_option("--count", args->count, "pictures a prompt")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--noise", args->noise,
                      "safetensors file with the initial noise");
  command->add_option("--latents", args->latents,
                      "safetensors file for the final latents");
  command
      ->add_option("--zoom", args->zoom,
                   "enlargement of the grid (default: of small pictures, to "
                   "128 pixels or so)")
      ->check(CLI::Range(1, 64));
  command->add_flag("--json", args->json, "say in JSON what was written");
  command->callback([args, &action] {
    action = [args] {
      return among_ranks(
          [&](Communicator& ranks) { return sample(*args, ranks); });
    };
  });
}

}  // namespace rsm
