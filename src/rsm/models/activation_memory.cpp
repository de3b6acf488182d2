#include "rsm/models/activation_memory.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** What linear layers keep for their own gradients, in numbers a token. */
class TrainedLayers {
 public:
  TrainedLayers(const NetworkCall& call, std::string prefix)
      : call_(call), prefix_(std::move(prefix)) {}

  bool trains(const std::string& layer) const {
    return call_.rank == 0 || call_.trains(prefix_ + layer);
  }
  /** An input of this width that these layers share, and each LoRA's product
   * with A. */
  double input(double width, std::initializer_list<const char*> layers) const {
    double numbers = 0;
    for (const char* layer : layers) {
      if (!trains(layer)) continue;
      numbers = std::max(numbers, width) + static_cast<double>(call_.rank);
    }
    return numbers;
  }

 private:
  const NetworkCall& call_;
  std::string prefix_;
};

/** One block of SD3's transformer, in numbers a token; `D` is its width. */
class Sd3BlockMemory {
 public:
  Sd3BlockMemory(const Sd3Config& config, const NetworkCall& call,
                 int64_t index)
      : D_(static_cast<double>(config.inner_dim())),
        layers_(call, cat("transformer_blocks.", index, ".")),
        last_(index + 1 == config.num_layers),
        dual_(std::count(config.dual_attention_layers.begin(),
                         config.dual_attention_layers.end(), index) > 0) {
    // The norms of q and k keep their inputs in float32, and where their gains
    // are trained also what these are multiplied with.
    if (config.qk_rms_norm) {
      norms_ = 2 * D_ * 4 / static_cast<double>(call.bytes) *
               (call.rank == 0 ? 2 : 1);
    }
    for (const char* name : {"time_text_embed.timestep_embedder.linear_1",
                             "time_text_embed.timestep_embedder.linear_2",
                             "time_text_embed.text_embedder.linear_1",
                             "time_text_embed.text_embedder.linear_2"}) {
      modulated_ = modulated_ || TrainedLayers(call, "").trains(name);
    }
  }

  double image() const {
    double numbers = attention() + feed_forward("ff.") + modulation("norm1");
    numbers += layers_.input(D_, {"attn.to_q", "attn.to_k", "attn.to_v"});
    numbers += layers_.input(D_, {"attn.to_out.0"});
    if (dual_) {
      numbers += attention();
      numbers += layers_.input(D_, {"attn2.to_q", "attn2.to_k", "attn2.to_v"});
      // Its result is kept already.
      numbers += layers_.input(0, {"attn2.to_out.0"});
      numbers += modulation("norm1") / 4;
    }
    return numbers;
  }
  double text() const {
    double numbers = attention();
    numbers += layers_.input(
        D_, {"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"});
    if (last_) return numbers + D_ + modulation("norm1_context") / 4;
    numbers += layers_.input(D_, {"attn.to_add_out"});
    return numbers + feed_forward("ff_context.") + modulation("norm1_context");
  }

 private:
  /** q, k, v and the result. */
  double attention() const { return 4 * D_ + norms_; }
  /** Inputs of both layer norms, hidden states before GELU and after. */
  double feed_forward(const std::string& name) const {
    const std::string in = name + "net.0.proj", out = name + "net.2";
    return 2 * D_ + 4 * D_ + layers_.input(D_, {in.c_str()}) +
           layers_.input(4 * D_, {out.c_str()});
  }
  /** Both normed states, what attention and feed-forward give: factors of what
   * the adaptive norm says. */
  double modulation(const std::string& norm) const {
    return modulated_ || layers_.trains(norm + ".linear") ? 4 * D_ : 0;
  }

  double D_;
  TrainedLayers layers_;
  bool last_, dual_;
  bool modulated_ = false;
  double norms_ = 0;
};

CallMemory times(CallMemory memory, double factor) {
  for (double* part : {&memory.forward, &memory.kept, &memory.kept_checkpointed,
                       &memory.passing}) {
    *part *= factor;
  }
  return memory;
}

double bytes_of(const NetworkCall& call) {
  return static_cast<double>(call.rows * call.bytes);
}

}  // namespace

CallMemory call_memory(const Sd3Config& config, const NetworkCall& call) {
  const auto D = static_cast<double>(config.inner_dim());
  const auto patch = config.patch_size;
  const auto image =
      static_cast<double>((call.height / patch) * (call.width / patch));
  const auto text = static_cast<double>(call.text_tokens);
  const double longer = std::max(image, text), shorter = std::min(image, text);
  const TrainedLayers layers(call, "");
  CallMemory out;
  double inputs = 0;  // of the blocks so far: later ones are let go of
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const Sd3BlockMemory block(config, call, i);
    const double kept = image * block.image() + text * block.text();
    inputs += (image + text) * D;
    out.kept += kept;
    out.kept_checkpointed = std::max(out.kept_checkpointed, inputs + kept);
  }
  // Inputs of the last norm, and of what follows it where that is trained.
  out.kept += image * (D + layers.input(2 * D, {"proj_out"}));
  // Both states before and after attention, what it gives, the hidden states
  // before and after GELU, and what comes of them.
  out.forward = D * (15 * longer + 3.5 * shorter);
  // Gradients of hidden states, in place of the states that were kept.
  const bool kept_both = layers.trains("transformer_blocks.0.ff.net.2");
  out.passing = (kept_both ? 5 : 8) * D * longer;
  return times(out, bytes_of(call));
}

namespace {

/** Walks through a UNet as its forward does; in numbers of a row. */
class UnetWalk {
 public:
  UnetWalk(const UnetConfig& config, const NetworkCall& call)
      : config_(config), call_(call) {
    double pixels = static_cast<double>(call.height * call.width);
    double channels = at(0);
    push(channels, pixels);
    for (int64_t level = 0; level < config.levels(); ++level) {
      const auto name = cat("down_blocks.", level, ".");
      for (int64_t i = 0; i < config.layers_per_block; ++i) {
        layer(name, i, channels, 0, level, config.down_attention[level],
              pixels);
        channels = at(level);
        push(channels, pixels);
      }
      if (level + 1 == config.levels()) continue;
      pixels /= 4;
      push(channels, pixels);
    }
    const int64_t deepest = config.levels() - 1;
    layer("mid_block.", 0, channels, 0, deepest, true, pixels);
    layer("mid_block.", 1, channels, 0, deepest, false, pixels);
    for (int64_t i = 0; i < config.levels(); ++i) {
      up(i, channels, pixels);
    }
    // Inputs of the last norm, of SiLU and of the last convolution.
    out_.kept += 3 * channels * pixels;
  }

  CallMemory memory() const { return out_; }

 private:
  double at(int64_t level) const {
    return static_cast<double>(config_.block_out_channels[level]);
  }
  void push(double channels, double pixels) {
    skips_.push_back(channels);
    held_ += channels * pixels;
    inputs_ += channels * pixels;
  }

  void up(int64_t index, double& channels, double& pixels) {
    const int64_t level = config_.levels() - 1 - index;
    for (int64_t i = 0; i <= config_.layers_per_block; ++i) {
      layer(cat("up_blocks.", index, "."), i, channels, skips_.back(), level,
            config_.up_attention[index], pixels);
      channels = at(level);
      held_ -= skips_.back() * pixels;
      skips_.pop_back();
      inputs_ += channels * pixels;
    }
    if (level == 0) return;
    pixels *= 4;
    out_.kept += channels * pixels;  // what is convolved once it is doubled
    inputs_ += 2 * channels * pixels;
  }

  /** A residual block, and a transformer where it `attends`. */
  void layer(const std::string& block, int64_t index, double channels,
             double skip, int64_t level, bool attends, double pixels) {
    const double in = channels + skip, out = at(level);
    // Of both convolutions: inputs of the norm, of SiLU and their own.
    double kept = (3 * in + 3 * out) * pixels;
    double working = std::max(2 * in + out, 4 * out);
    double passing = 4 * std::max(in, out);
    if (attends) {
      const TrainedLayers layers(
          call_, cat(block, "attentions.", index, ".transformer_blocks.0."));
      kept += transformer(layers, out, pixels);
      working = std::max(working, 21 * out);
      passing = std::max(passing, (layers.trains("ff.net.2") ? 8 : 12) * out);
    }
    out_.kept += kept;
    out_.kept_checkpointed = std::max(out_.kept_checkpointed, inputs_ + kept);
    out_.passing = std::max(out_.passing, passing * pixels);
    const double joined = skip > 0 ? in : 0;
    out_.forward =
        std::max(out_.forward, held_ + (channels + joined + working) * pixels);
  }

  double transformer(const TrainedLayers& layers, double width,
                     double pixels) const {
    const auto text = static_cast<double>(call_.text_tokens);
    // Inputs of its four norms; q, k, v and the result; q and the result; the
    // hidden states' halves, and GELU of one of them.
    double token = (4 + 4 + 2 + 12) * width;
    token += layers.input(width, {"attn1.to_q", "attn1.to_k", "attn1.to_v"});
    token += layers.input(0, {"attn1.to_out.0", "attn2.to_out.0"});
    token += layers.input(width, {"attn2.to_q"});
    token += layers.input(width, {"ff.net.0.proj"});
    token += layers.input(4 * width, {"ff.net.2"});
    if (call_.rank == 0) token += 2 * width;  // inputs of 1x1 convolutions
    return pixels * token + 2 * text * width;
  }

  const UnetConfig& config_;
  const NetworkCall& call_;
  CallMemory out_;
  std::vector<double> skips_;  ///< channels of each
  double held_ = 0;            ///< in all skips
  double inputs_ = 0;          ///< of the layers so far
};

}  // namespace

CallMemory call_memory(const UnetConfig& config, const NetworkCall& call) {
  return times(UnetWalk(config, call).memory(), bytes_of(call));
}

double decoding_memory(const AutoencoderKlConfig& config, int64_t height,
                       int64_t width, int64_t bytes) {
  auto pixels = static_cast<double>(height * width);
  const auto& channels = config.block_out_channels;
  auto in = static_cast<double>(channels.back());
  double most = 0;
  for (size_t i = channels.size(); i-- > 0; pixels *= 4) {
    const auto out = static_cast<double>(channels[i]);
    // A residual block's input, that normed and after SiLU; and of its output
    // what the second half makes of it.
    most = std::max(most, (3 * in + 4 * out) * pixels);
    in = out;
  }
  return most * static_cast<double>(bytes);
}

double decoding_gradient_memory(const AutoencoderKlConfig& config,
                                int64_t height, int64_t width, int64_t bytes) {
  auto pixels = static_cast<double>(height * width);
  const auto& channels = config.block_out_channels;
  auto in = static_cast<double>(channels.back());
  // Of both convolutions: inputs of the norm, of SiLU and their own.
  const auto residual = [](double in, double out) { return 3 * in + 3 * out; };
  double kept = 2 * residual(in, in) * pixels;
  // The norm's input; q, k, v and the result.
  if (config.mid_block_add_attention) kept += 5 * in * pixels;
  for (size_t i = channels.size(); i-- > 0;) {
    const auto out = static_cast<double>(channels[i]);
    for (int64_t layer = 0; layer <= config.layers_per_block; ++layer) {
      kept += residual(in, out) * pixels;
      in = out;
    }
    if (i == 0) break;
    pixels *= 4;
    kept += out * pixels;  // what is convolved once it is doubled
  }
  // Inputs of the last norm, of SiLU and of the last convolution, and gradients
  // that take their place.
  return (kept + (3 + 4) * in * pixels) * static_cast<double>(bytes);
}

double vision_gradient_memory(const ClipVisionConfig& config, int64_t pictures,
                              int64_t bytes) {
  const auto width = static_cast<double>(config.hidden_size);
  const auto inner = static_cast<double>(config.intermediate_size);
  const auto layers = static_cast<double>(config.num_hidden_layers);
  const double tokens = 1 + static_cast<double>(config.patches());
  // Inputs of both norms; q, k, v and the result; hidden states, and what
  // CLIP's GELU multiplies them with.
  const double kept =
      6 * width + (config.hidden_act == "quick_gelu" ? 2 : 1) * inner;
  return (layers * kept + 3 * inner) * tokens *
         static_cast<double>(pictures * bytes);
}

}  // namespace rsm
