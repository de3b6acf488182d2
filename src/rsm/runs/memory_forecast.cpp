#include "rsm/runs/memory_forecast.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/data/prompts.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/sharded.h"
#include "rsm/models/autoencoder_tiny.h"
#include "rsm/models/model_layout.h"
#include "rsm/runs/memory_parts.h"
#include "rsm/text/clip_text.h"

namespace rsm {

using namespace memory;

namespace {

constexpr const char* kNetworkWeights = "diffusion_pytorch_model";

/** What the program and LibTorch's libraries hold of host memory: a run of the
 * smallest model, less what is counted of it. */
constexpr double kProgram = 300 * kMebibyte;

/** Of what is kept of conditions in memory, see ConditionCacheOptions. */
constexpr double kConditionCache = 256 * kMebibyte;

template <typename Config>
Config config_in(const std::string& folder) {
  const std::string path = folder + "/config.json";
  return Config::from_json(read_python_json(path), path);
}

/** Tensors of an epoch in host memory, in bytes. */
struct EpochTensors {
  double rollout = 0;  ///< while it is drawn
  double update = 0;   ///< with y_old and the reference's outputs
};

EpochTensors epoch_tensors(const std::vector<int64_t>& latent_shape,
                           const Forecast& f, const RunOptions& o) {
  constexpr double kPart = 256 * kMebibyte;  // rollouts are drawn in parts
  const double latent = kFloatBytes * product(latent_shape);
  const auto latents = [&](int64_t count, double copies) {
    return static_cast<double>(count) * copies * latent;
  };
  // States: x, y, and later y_old and the reference's; rows: x_next; pictures:
  // latents, and what is under way to them: x, y, y before and their mix.
  double kept = latents(f.states, 2) + latents(f.rows + f.images, 1);
  // Of soft returns: costs by place, and the reference's outputs that stay.
  if (o.method.estimator.counts_costs()) {
    kept += latents(f.rows, 1 / static_cast<double>(latent_shape[0])) +
            latents(f.kept_references, 1);
  }
  // Past epochs, and what is drawn from them: x and y of all steps, latents.
  const auto& knobs = o.method.estimator.gradient;
  if (o.method.estimator.is_first_order() && knobs.replay > 0) {
    kept += latents((knobs.replay + 1) * f.images,
                    static_cast<double>(2 * o.steps + 1));
  }
  return {kept + std::min(latents(f.images, 6), kPart),
          kept + latents(f.evaluations.old + f.evaluations.reference -
                             f.cost_evaluations,
                         1)};
}

}  // namespace

const MemoryStation& MemoryForecast::fullest() const {
  return *std::max_element(
      stations.begin(), stations.end(),
      [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
}

void MemoryCount::Part::add(const StateDict& weights) {
  for (const auto& [name, weight] : weights) {
    numbers += static_cast<double>(weight.numel());
    bytes += static_cast<double>(weight.nbytes());
  }
}

MemoryCount::MemoryCount(const RunOptions& o)
    : path_(o.model), forecast_(forecast(o)) {
  const auto folder = open_model_folder(o.model);
  flow_ = folder.family == Family::flow;
  read_network(folder.network(), o);
  read_decoder(o);
  read_text(o);
  read_judges(o);
}

double MemoryCount::latent_numbers() const { return product(latent_shape_); }

void MemoryCount::read_network(const std::string& folder, const RunOptions& o) {
  const auto weights = view_sharded(folder, kNetworkWeights).tensors;
  network_.add(weights);
  trained_ =
      o.lora ? adapters_of(weights, o.lora_config) : parameters_of(weights);
  const auto keep = [&](const auto& config, int64_t side) {
    latent_shape_ = {config.in_channels, side, side};
    call_memory_ = [config](const NetworkCall& call) {
      return call_memory(config, call);
    };
  };
  if (flow_) {
    const auto config = config_in<Sd3Config>(folder);
    text_width_ = config.joint_attention_dim;
    keep(config, config.sample_size);
  } else {
    const auto config = config_in<UnetConfig>(folder);
    text_width_ = config.cross_attention_dim;
    keep(config, config.sample_size.value_or(0));
  }
  read_value(weights, o);
}

void MemoryCount::read_decoder(const RunOptions& o) {
  const auto folder = open_model_folder(path_);
  int64_t scale = 1;
  std::optional<AutoencoderKlConfig> decoder;
  if (folder.has("vae")) {
    const std::string place = folder.at("vae");
    auto weights = view_sharded(place, kNetworkWeights).tensors;
    std::erase_if(weights, [](const auto& entry) {
      return entry.first.starts_with("encoder.");
    });
    decoder_.add(weights);
    const auto json = read_python_json(place + "/config.json");
    AutoencoderKlConfig levels;
    if (json.value("_class_name", "") == "AutoencoderTiny") {
      const auto tiny = config_in<AutoencoderTinyConfig>(place);
      scale = tiny.space().scale;
      levels.block_out_channels.assign(tiny.num_decoder_blocks.size(),
                                       tiny.width);
    } else {
      levels = config_in<AutoencoderKlConfig>(place);
      scale = levels.space().scale;
    }
    decoder = levels;
  }
  for (size_t i = 0; i < o.size.size(); ++i) {
    latent_shape_[i + 1] = o.size[i] / scale;
  }
  const int64_t height = latent_shape_[1], width = latent_shape_[2];
  RSM_CHECK(height > 0 && width > 0, "[memory] latents of ", height, "x", width,
            ": the network's config has no sample_size; sampling.size is "
            "needed");
  picture_ = {height * scale, width * scale};
  const auto of_decoder = [=](auto count) {
    return [=](int64_t bytes) {
      return decoder ? count(*decoder, height, width, bytes) : 0.0;
    };
  };
  decoding_ = of_decoder(decoding_memory);
  decoding_gradient_ = of_decoder(decoding_gradient_memory);
}

void MemoryCount::read_text(const RunOptions& o) {
  const auto folder = open_model_folder(path_);
  const auto first = config_in<ClipTextConfig>(folder.at("text_encoder"));
  text_tokens_ = first.max_position_embeddings;
  if (folder.has("text_encoder_2")) text_tokens_ += o.t5_tokens;
  for (const std::string part :
       {"text_encoder", "text_encoder_2", "text_encoder_3"}) {
    if (!folder.has(part) || (part == "text_encoder_3" && !o.t5)) continue;
    Part encoder;
    encoder.add(view_sharded(folder.at(part), "model").tensors);
    text_.numbers += encoder.numbers;
    text_.bytes += encoder.bytes;
    largest_text_ = std::max(largest_text_, encoder.bytes);
  }
  const double condition =
      static_cast<double>(text_tokens_ * text_width_) * size_of(o.text_type);
  const double texts =
      static_cast<double>(load_prompts(o.train_prompts).size() +
                          load_prompts(o.eval_prompts).size() + 1);
  // Small encoders stay whatever is kept, and are small.
  text_leaves_ = texts * condition <= o.cache_gb * 1e9;
  kept_conditions_ = static_cast<double>(o.prompts_per_epoch) * condition;
  if (o.device.is_cpu()) {
    kept_conditions_ += std::min(kConditionCache, texts * condition);
  }
}

NetworkCall MemoryCount::call_of(const RunOptions& o, int64_t tile,
                                 torch::ScalarType type, bool guided) const {
  NetworkCall call;
  call.rows = guided ? 2 * tile : tile;
  call.height = latent_shape_[1];
  call.width = latent_shape_[2];
  call.text_tokens = text_tokens_;
  call.bytes = at::elementSize(type);
  if (o.lora) {
    call.rank = o.lora_config.rank;
    call.trains = [lora = o.lora_config](const std::string& layer) {
      return is_adapted(layer, lora);
    };
  }
  return call;
}

double MemoryCount::encoding(const RunOptions& o) const {
  const double own = text_.numbers * size_of(o.text_type);
  // Weights of the files' type are used where they lie.
  return !o.device.is_cpu() || own == text_.bytes ? own : own + largest_text_;
}

double MemoryCount::held(const RunOptions& o) const {
  double bytes = network_.numbers * size_of(o.training_type);
  if (!o.policy().rollout_is_training()) {
    bytes += network_.numbers * size_of(o.rollout_type);
  }
  if (!o.predictor.empty()) {
    bytes += network_.numbers * size_of(o.training_type);
  }
  // The LoRA, what is averaged, AdamW's two moments, and the references.
  const double copies = (o.lora ? 1 : 0) + 1 + 2 +
                        (!o.lora || o.reference_has_lora ? 1 : 0) +
                        (o.method.regularisation.reset.is_on() ? 1 : 0);
  bytes += copies * kFloatBytes * trained_;
  // The value network's weights, its LoRA and AdamW's two moments.
  const bool adapted =
      o.method.estimator.gradient.value.kind == ValueKnobs::Kind::lora;
  bytes += kFloatBytes * (value_.numbers + (adapted ? 3 : 2) * value_.trained);
  bytes += judges_;
  bytes +=
      decoder_.numbers * static_cast<double>(vae_bytes(o)) + kept_conditions_;
  if (!text_leaves_) bytes += text_.numbers * size_of(o.text_type);
  return bytes;
}

double MemoryCount::decoding(const RunOptions& o) const {
  constexpr int64_t kEvaluated = 128;  // pictures at once
  const int64_t pictures = std::max(
      forecast_.images, std::min(forecast_.evaluation_images, kEvaluated));
  const auto workers =
      static_cast<double>(std::min(o.rollout_tiles.workers, pictures));
  const double calls = workers * decoding_(vae_bytes(o));
  if (!o.device.is_cpu()) return calls;
  const double picture = 3 * kFloatBytes * product(picture_);
  // A part of them, and the same again as they are put together.
  const double part = std::min(static_cast<double>(pictures) * picture,
                               std::max(256 * kMebibyte, picture));
  return calls + 2 * part;
}

double MemoryCount::update(const RunOptions& o) const {
  const auto type = o.training_type;
  const int64_t rows = forecast_.largest_update;
  const bool guided = o.training_guidance_scale != 1;
  double bytes =
      training(o, call_memory_(call_of(o, o.train_tiles.tile, type, guided)),
               trained_, rows);
  if (o.lora && type != torch::kFloat) {
    // The LoRA in the activations' type.
    bytes += at_once(o.train_tiles, rows) * trained_ * size_of(type);
  }
  return bytes;
}

MemoryForecast MemoryCount::of(const RunOptions& o) const {
  const bool cpu = o.device.is_cpu();
  const double program = cpu ? kProgram : 0;
  const double read =
      network_.numbers * size_of(o.model_options().network_type);
  const double vae = decoder_.numbers * static_cast<double>(vae_bytes(o));
  const double always = program + held(o);
  const auto tensors =
      cpu ? epoch_tensors(latent_shape_, forecast_, o) : EpochTensors();
  const auto forward = [&](const TileOptions& tiles, torch::ScalarType type,
                           bool guided, int64_t rows) {
    return at_once(tiles, rows) *
           call_memory_(call_of(o, tiles.tile, type, guided)).forward;
  };
  const std::string types = "compute.training_type, compute.rollout_type";
  const std::string size = "sampling.size, compute.threads";
  MemoryForecast out;
  if (cpu) {
    out.stations.push_back(
        {"loading", program + read + network_.bytes + vae, types});
  }
  out.stations.push_back({"encoding texts",
                          program + (cpu ? read : 0) + encoding(o) + vae,
                          "compute.text_type bfloat16, prompts.t5 false"});
  out.stations.push_back(
      {"the rollout",
       always + tensors.rollout +
           forward(o.rollout_tiles, o.rollout_type,
                   o.guidance_scale != 1 || o.eval_guidance_scale != 1,
                   std::max(forecast_.images, forecast_.roots)),
       cat("compute.rollout_tile, ", size, ", prompts.per_epoch, ", types)});
  out.stations.push_back({"decoding", always + tensors.rollout + decoding(o),
                          cat("compute.vae_type, ", size, ", ", types)});
  if (o.method.estimator.needs_gradients()) {
    out.stations.push_back(
        {"guidance", always + tensors.rollout + guidance(o),
         cat("compute.train_tile, compute.activation_checkpointing, "
             "compute.vae_type, ",
             size, ", ", types)});
  }
  const auto& pull = o.method.regularisation;
  const bool guided_states =
      o.training_guidance_scale != 1 ||
      (pull.guides_reference() && pull.reference_guidance != 1);
  out.stations.push_back({"y_old and y_ref",
                          always + tensors.update +
                              forward(o.train_tiles, o.training_type,
                                      guided_states, forecast_.states),
                          cat("compute.train_tile, ", size, ", ", types)});
  out.stations.push_back(
      {"the update", always + tensors.update + update(o),
       cat("compute.train_tile, compute.activation_checkpointing, ", size, ", ",
           types, ", train.lora.rank")});
  if (value_.numbers > 0) {
    out.stations.push_back(
        {"the value network", always + tensors.update + learning(o),
         cat("compute.train_tile, compute.activation_checkpointing, ", size,
             ", method.estimator.gradient.value")});
  }
  if (cpu) {
    // Copies of the weights, of AdamW's two moments and of a reference.
    const double copies = pull.reset.is_on() ? 4 : 3;
    out.stations.push_back({"a checkpoint",
                            always + copies * kFloatBytes * trained_,
                            cat("train.lora.rank, ", types)});
  }
  return out;
}

}  // namespace rsm
