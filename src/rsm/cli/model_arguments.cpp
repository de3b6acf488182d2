#include "rsm/cli/model_arguments.h"

#include <charconv>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"
#include "rsm/methods/names.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_formats.h"
#include "rsm/runs/ranks.h"
#include "rsm/runs/run_inputs.h"
#include "rsm/runs/solver_options.h"

namespace rsm {
namespace {

/** Guidance, the negative prompt and what they are to each other. */
void check_guidance(const ModelArguments& args) {
  if (!(args.guidance_scale >= 0 && args.guidance_scale <= 100)) {
    throw UsageError(cat("[--guidance] got ", args.guidance_scale,
                         "; allowed: a number in [0, 100]"));
  }
  if (find_not_utf8(args.negative_prompt) != std::string::npos) {
    throw UsageError(cat("[--negative] \"", shown(args.negative_prompt),
                         "\" is not UTF-8; type it in a UTF-8 locale"));
  }
  const auto idle =
      idle_negative_prompt(args.negative_prompt, args.guidance_scale);
  if (!idle.empty()) throw UsageError("[--negative] " + idle);
}

/** Throws rsm::Error naming the first rank that has another model or LoRA. */
void check_same_model(Communicator& ranks, const ModelArguments& args) {
  if (ranks.is_sole()) return;
  std::string sums;
  for (const auto& [name, sum] : model_checksums(args.model)) {
    sums += cat(name, " ", sum, "\n");
  }
  ranks.check_same("the model's checksum", checksum(sums));
  if (args.lora.empty()) return;
  sums.clear();
  for (const auto& file : lora_files(args.lora)) sums += file_checksum(file);
  ranks.check_same("the LoRA's checksum", checksum(sums));
}

}  // namespace

std::vector<int64_t> read_size(const std::string& text) {
  constexpr int64_t kLargestSide = 16384;
  if (text.empty()) return {};
  std::vector<int64_t> sides;
  const char* end = text.data() + text.size();
  for (const char* at = text.data(); sides.size() < 2; ++at) {
    int64_t side = 0;
    const auto read = std::from_chars(at, end, side);
    if (read.ec != std::errc() || side < 1 || side > kLargestSide) break;
    sides.push_back(side);
    at = read.ptr;
    if (at == end) return {sides[0], sides.back()};
    if (*at != 'x') break;
  }
  throw UsageError(cat("[--size] got \"", shown(text),
                       "\"; allowed: a side, or HEIGHTxWIDTH, of 1 to ",
                       kLargestSide, " pixels: 512, or 512x768"));
}

void ModelArguments::add_to(CLI::App& command) {
  command.add_option("model", model, "a model folder in diffusers layout")
      ->required();
  command.add_option("--lora", lora,
                     "a LoRA to merge: a folder or a safetensors file of "
                     "PEFT, diffusers or kohya");
  command
      .add_option("--guidance", guidance_scale,
                  "classifier-free guidance scale")
      ->capture_default_str();
  command.add_option("--negative", negative_prompt,
                     "what guidance leads away from");
  command.add_option("--size", size,
                     "pixels of a side, or HEIGHTxWIDTH (default: the "
                     "network's own)");
  command.add_option("--steps", steps, "steps of the sampler")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--solver", solver,
                  "what takes them: euler and multistep follow the ODE, sa "
                  "(SA-Solver, at the family's usual settings) draws noise")
      ->check(CLI::IsMember(words<Solver>()))
      ->capture_default_str();
  command.add_option("--seed", seed, "what the initial noise is counted from")
      ->capture_default_str();
  command.add_option("--device", device, "cpu, cuda, cuda:1, ...")
      ->capture_default_str();
  command.add_option("--type", type, "precision of the network")
      ->check(CLI::IsMember(type_names()))
      ->capture_default_str();
  command.add_option("--text-type", text_type, "precision of text encoders")
      ->check(CLI::IsMember(type_names()))
      ->capture_default_str();
  command.add_option("--vae-type", vae_type, "precision of the VAE")
      ->check(CLI::IsMember(type_names()))
      ->capture_default_str();
  command.add_option("--t5-tokens", t5_tokens, "tokens of SD3's T5")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  command.add_flag("--no-t5", no_t5,
                   "leave SD3's T5 out, which saves its memory");
  command.add_option("--tile", tile, "rows a network call")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

SamplingModel load_for_sampling(const ModelArguments& arguments,
                                Communicator& ranks) {
  const auto device = device_of_rank(ranks, device_named(arguments.device));
  require_device(device);
  check_guidance(arguments);
  const auto size = read_size(arguments.size);
  const auto type = type_named(arguments.type);
  ModelOptions reading;
  // A LoRA is merged in float32.
  if (arguments.lora.empty()) reading.network_type = type;
  reading.text = {device, type_named(arguments.text_type), arguments.t5_tokens,
                  !arguments.no_t5};
  reading.device = device;
  TileOptions tiles;
  tiles.tile = arguments.tile;
  const int64_t threads = threads_of_rank(ranks);
  if (device.is_cpu()) tiles.workers = threads;
  reading.vae_workers = tiles.workers;
  reading.vae_type = type_named(arguments.vae_type);
  SamplingModel out{ImageModel::load(arguments.model, reading), nullptr, {}, {},
                    folder_warnings(arguments.model),           device};
  out.negative_prompt = arguments.negative_prompt;
  out.latent_shape = out.model.latent_shape(size);
  if (!arguments.lora.empty()) {
    const auto weights = state_dict(*out.model.network);
    const auto lora =
        load_lora(arguments.lora, out.model.network->part(), weights);
    load_merged(*out.model.network, weights, lora.tensors, lora.config);
  }
  out.model.network->to(out.device, type);
  out.denoiser = std::make_unique<GuidedNetwork>(
      out.model.network, out.model.text->encode({out.negative_prompt}),
      arguments.guidance_scale, tiles);
  const auto& path = *out.model.path;
  out.solving = {parse<Solver>(arguments.solver), usual_adams(path.family())};
  out.times = out.solving.times(path, path.times(arguments.steps));
  check_same_model(ranks, arguments);
  return out;
}

void SamplingModel::warn_of(const std::vector<std::string>& prompts,
                            Progress& progress) const {
  for (const auto& warning : warnings) {
    progress.say("warning: " + warning);
  }
  for (const auto& cut : {truncation_warning(*model.text, prompts, "prompts"),
                          truncation_warning(*model.text, {negative_prompt},
                                             "negative prompts")}) {
    if (!cut.empty()) progress.say("warning: " + cut);
  }
}

}  // namespace rsm
