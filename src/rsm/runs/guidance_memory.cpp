// What taking a reward's gradients, and learning beside it, holds.

#include <algorithm>

#include "rsm/estimators/trajectory_gradients.h"
#include "rsm/io/files.h"
#include "rsm/judges/judge_memory.h"
#include "rsm/models/loading.h"
#include "rsm/models/small_unet.h"
#include "rsm/models/unet.h"
#include "rsm/rewards/rewards.h"
#include "rsm/runs/memory_forecast.h"
#include "rsm/runs/memory_parts.h"

namespace rsm {

using namespace memory;

namespace {

/** Of a judge that computes there whatever its device. */
bool is_on_cpu(const std::string& reward) {
  const std::string judge = judge_of(reward);
  return judge.starts_with("onnx:") || judge == "ocr" ||
         judge.starts_with("ocr:");
}

}  // namespace

void MemoryCount::read_value(const StateDict& weights, const RunOptions& o) {
  const auto& knobs = o.method.estimator.gradient.value;
  if (!o.method.estimator.is_first_order()) return;
  if (knobs.kind == ValueKnobs::Kind::small) {
    const auto config =
        small_unet_config(knobs.channels, latent_shape_[0], text_width_);
    // Made to be counted: a small one has no file whose header would say.
    value_.numbers = value_.trained = parameters_of(state_dict(*Unet(config)));
    value_.call_memory = [config](const NetworkCall& call) {
      return call_memory(config, call);
    };
  } else if (knobs.kind != ValueKnobs::Kind::none) {
    LoraConfig lora;
    lora.rank = knobs.rank;
    lora.targets = kUnetLoraTargets;
    value_.numbers = network_.numbers;
    value_.trained = knobs.kind == ValueKnobs::Kind::lora
                         ? adapters_of(weights, lora)
                         : parameters_of(weights);
    value_.call_memory = call_memory_;
  }
}

void MemoryCount::read_judges(const RunOptions& o) {
  const int64_t pictures = gradients_at_once(picture_[0] * picture_[1]);
  for (const auto& reward : o.rewards) {
    const auto place =
        device_named(reward.device.empty() ? "cpu" : reward.device);
    if (place.type() != o.device.type()) continue;
    if (!o.device.is_cpu() && is_on_cpu(reward.name)) continue;
    const auto memory = judge_memory(reward, pictures);
    judges_ += memory.weights;
    if (reward.weight != 0) judging_ += memory.gradient;
  }
  const auto& features = o.beside.features;
  if (features.empty()) return;
  RewardSpec network;  // rewards that read the same files
  const bool clip = is_folder(features) || features.ends_with(".safetensors");
  network.name = (clip ? "aesthetic:" : "torchscript:") + features;
  judges_ += judge_memory(network, pictures).weights;
}

double MemoryCount::training(const RunOptions& o, const CallMemory& call,
                             double trained, int64_t rows) const {
  const double gradients = kFloatBytes * trained;
  const double activations = call.training(o.activation_checkpointing);
  // As backward goes on, gradients take the place of activations.
  const double one = o.activation_checkpointing
                         ? activations + gradients
                         : std::max(activations, gradients);
  return gradients + at_once(o.train_tiles, rows) * one;
}

double MemoryCount::guidance(const RunOptions& o) const {
  const auto& knobs = o.method.estimator.gradient;
  const double pixels = product(picture_);
  const int64_t count = gradients_at_once(picture_[0] * picture_[1]);
  // As they are decoded, clamped and judged, and their gradients.
  constexpr double kCopies = 6;
  const double pictures = judging_ + static_cast<double>(count) *
                                         (decoding_gradient_(vae_bytes(o)) +
                                          kCopies * 3 * kFloatBytes * pixels);
  const bool within = knobs.at == GradientKnobs::At::network;
  const bool carried = knobs.at == GradientKnobs::At::adjoint &&
                       knobs.through != GradientKnobs::Through::linear;
  const bool learns = value_.numbers > 0;
  if (!o.method.estimator.is_first_order() || !(within || carried || learns)) {
    return pictures;
  }
  const bool guided = o.training_guidance_scale != 1;
  const double call =
      call_memory_(call_of(o, o.train_tiles.tile, o.training_type, guided))
          .training(o.activation_checkpointing);
  const double calls = at_once(o.train_tiles, forecast_.states);
  return within ? calls * (call + pictures) : std::max(calls * call, pictures);
}

double MemoryCount::learning(const RunOptions& o) const {
  auto call = call_of(o, o.train_tiles.tile, torch::kFloat, /*guided=*/false);
  const auto& knobs = o.method.estimator.gradient.value;
  call.rank = knobs.kind == ValueKnobs::Kind::lora ? knobs.rank : 0;
  call.trains = [](const std::string& layer) {
    return lora_target_matches(layer, kUnetLoraTargets);
  };
  return training(o, value_.call_memory(call), value_.trained,
                  forecast_.states);
}

}  // namespace rsm
