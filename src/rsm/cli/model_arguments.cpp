#include "rsm/cli/model_arguments.h"

#include <thread>

#include "rsm/base/error.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_formats.h"

namespace rsm {
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
  command
      .add_option("--size", size,
                  "pixels of a side, or height and width (default: the "
                  "network's own)")
      ->expected(1, 2)
      ->check(CLI::Range(1, 16384));
  command.add_option("--steps", steps, "steps of the ODE")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--seed", seed, "of the initial noise")
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
  command
      .add_option("--t5-tokens", t5_tokens,
                  "tokens of SD3's T5; 0: without it, which saves its memory")
      ->check(CLI::Range(0, 512))
      ->capture_default_str();
  command.add_option("--tile", tile, "rows a network call")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

SamplingModel load_for_sampling(const ModelArguments& arguments) {
  const auto device = device_named(arguments.device);
  require_device(device);
  if (!(arguments.guidance_scale >= 0 && arguments.guidance_scale <= 100)) {
    throw UsageError(cat("[--guidance] got ", arguments.guidance_scale,
                         "; allowed: a number in [0, 100]"));
  }
  const auto type = type_named(arguments.type);
  ModelOptions reading;
  // A LoRA is merged in float32.
  if (arguments.lora.empty()) reading.network_type = type;
  reading.text = {device, type_named(arguments.text_type), arguments.t5_tokens};
  reading.device = device;
  reading.vae_type = type_named(arguments.vae_type);
  SamplingModel out{ImageModel::load(arguments.model, reading),
                    nullptr,
                    {},
                    folder_warnings(arguments.model),
                    device};
  auto size = arguments.size;
  if (size.size() == 1) size.push_back(size[0]);
  out.latent_shape = out.model.latent_shape(size);
  if (!arguments.lora.empty()) {
    const auto weights = state_dict(*out.model.network);
    const auto lora =
        load_lora(arguments.lora, out.model.network->part(), weights);
    load_merged(*out.model.network, weights, lora.tensors, lora.config);
  }
  TileOptions tiles;
  tiles.tile = arguments.tile;
  tiles.workers =
      out.device.is_cpu()
          ? std::max<int64_t>(1, std::thread::hardware_concurrency())
          : 1;
  out.model.network->to(out.device, type);
  out.denoiser = std::make_unique<GuidedNetwork>(
      out.model.network, out.conditions({""}), arguments.guidance_scale, tiles);
  out.times = out.model.path->times(arguments.steps);
  return out;
}

void SamplingModel::warn_of(const std::vector<std::string>& prompts,
                            Progress& progress) const {
  for (const auto& warning : warnings) {
    progress.say("warning: " + warning);
  }
  const auto cut = truncation_warning(*model.text, prompts, "prompts");
  if (!cut.empty()) progress.say("warning: " + cut);
}

Condition SamplingModel::conditions(
    const std::vector<std::string>& texts) const {
  return model.text->encode(texts);
}

}  // namespace rsm
