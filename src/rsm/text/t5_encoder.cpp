#include "rsm/text/t5_encoder.h"

#include <torch/nn/modules/container/modulelist.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/layers/linear.h"

namespace rsm {
namespace {

using nlohmann::json;

/** Beyond all models there are, and far below what overflows. */
constexpr int64_t kWidest = 1 << 20;
constexpr int64_t kMostLayers = 1024;
constexpr int64_t kMostTokens = 1 << 24;

/** What float16 holds, and the room that is left once something didn't fit. */
constexpr double kLargestHalf = 65504;
constexpr double kRoom = 1000;

/** Unlike torch::nn::Embedding it spends no time on first weights. */
class TableImpl : public torch::nn::Module {
 public:
  TableImpl(int64_t rows, int64_t width)
      : weight(register_parameter("weight", torch::empty({rows, width}))) {}
  torch::Tensor forward(const torch::Tensor& ids) {
    return at::embedding(weight, ids);
  }

  torch::Tensor weight;  ///< [rows,width]
};
TORCH_MODULE(Table);

/** The root mean square is taken in float32; the result has the type of the
 * weight, whatever that of x. */
class RmsNormImpl : public torch::nn::Module {
 public:
  explicit RmsNormImpl(const T5Config& c)
      : weight_(register_parameter("weight", torch::empty({c.d_model}))),
        epsilon_(c.layer_norm_epsilon) {}
  torch::Tensor forward(const torch::Tensor& x) {
    const auto wide = x.element_size() < 4 ? x.to(at::kFloat) : x;
    const auto scale = at::rsqrt(wide.square().mean(-1, true) + epsilon_);
    return weight_ * (wide * scale).to(weight_.scalar_type());
  }

 private:
  torch::Tensor weight_;  ///< [d_model]
  double epsilon_;
};
TORCH_MODULE(RmsNorm);

/** Which row of the table of distances [L,L] from a query to a key have: one
 * for each of the near ones, then by their logarithm, and half of all rows for
 * keys ahead. */
torch::Tensor distance_buckets(int64_t length, const T5Config& config,
                               torch::Device device) {
  const int64_t rows = config.relative_attention_num_buckets / 2;
  const int64_t near = rows / 2;
  const auto place =
      at::arange(length, at::TensorOptions(at::kLong).device(device));
  const auto ahead = place.unsqueeze(0) - place.unsqueeze(1);
  const auto distance = ahead.abs();
  const double octaves =
      std::log(static_cast<double>(config.relative_attention_max_distance) /
               static_cast<double>(near));
  const auto far =
      ((distance.to(at::kFloat) / near).log() / octaves * (rows - near))
          .clamp_min(0)
          .to(at::kLong) +
      near;
  return at::where(distance < near, distance, far.clamp_max(rows - 1)) +
         (ahead > 0).to(at::kLong) * rows;
}

class SelfAttentionImpl : public torch::nn::Module {
 public:
  SelfAttentionImpl(const T5Config& c, bool with_bias) : config_(c) {
    const int64_t width = c.num_heads * c.d_kv;
    q_ = register_module("q", Linear(c.d_model, width, false));
    k_ = register_module("k", Linear(c.d_model, width, false));
    v_ = register_module("v", Linear(c.d_model, width, false));
    o_ = register_module("o", Linear(width, c.d_model, false));
    if (!with_bias) return;
    table_ =
        register_module("relative_attention_bias",
                        Table(c.relative_attention_num_buckets, c.num_heads));
  }
  /** What all layers add to their scores: [1,H,L,L]. */
  torch::Tensor bias(int64_t length) {
    const auto device = table_->weight.device();
    return table_(distance_buckets(length, config_, device))
        .permute({2, 0, 1})
        .unsqueeze(0);
  }
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& bias) {
    const auto y = at::scaled_dot_product_attention(
        split(q_(x)), split(k_(x)), split(v_(x)), bias, 0.0, false, 1.0);
    return o_(y.transpose(1, 2).flatten(2));
  }

 private:
  torch::Tensor split(const torch::Tensor& x) const {
    return x.unflatten(2, {config_.num_heads, config_.d_kv}).transpose(1, 2);
  }

  T5Config config_;
  Linear q_{nullptr}, k_{nullptr}, v_{nullptr}, o_{nullptr};
  Table table_{nullptr};
};
TORCH_MODULE(SelfAttention);

class FeedForwardImpl : public torch::nn::Module {
 public:
  explicit FeedForwardImpl(const T5Config& c) {
    in_ = register_module(c.gated() ? "wi_0" : "wi",
                          Linear(c.d_model, c.d_ff, false));
    if (c.gated()) {
      gate_ = register_module("wi_1", Linear(c.d_model, c.d_ff, false));
    }
    out = register_module("wo", Linear(c.d_ff, c.d_model, false));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = gate_ ? at::gelu(in_(x), "tanh") * gate_(x) : in_(x).relu();
    return out(y.to(out->weight.scalar_type()));
  }

  Linear out{nullptr};

 private:
  Linear in_{nullptr}, gate_{nullptr};
};
TORCH_MODULE(FeedForward);

/** A norm and what follows it, by the name that has in files. */
template <typename Part>
class LayerImpl : public torch::nn::Module {
 public:
  LayerImpl(const T5Config& c, const std::string& name, Part part)
      : part(register_module(name, part)),
        norm(register_module("layer_norm", RmsNorm(c))) {}
  Part part;
  RmsNorm norm;
};
using AttentionLayer = LayerImpl<SelfAttention>;
using FeedForwardLayer = LayerImpl<FeedForward>;

/** Infinities of float16 become numbers. */
torch::Tensor in_range(const torch::Tensor& x) {
  if (x.scalar_type() != at::kHalf) return x;
  const auto most = kLargestHalf - kRoom * x.isinf().any().to(at::kFloat);
  const auto bound = most.to(x.scalar_type());
  return at::clamp(x, -bound, bound);
}

class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(const T5Config& c, bool with_bias) {
    const auto layers = register_module("layer", torch::nn::ModuleList());
    attention = std::make_shared<AttentionLayer>(c, "SelfAttention",
                                                 SelfAttention(c, with_bias));
    feed_forward =
        std::make_shared<FeedForwardLayer>(c, "DenseReluDense", FeedForward(c));
    layers->push_back(attention);
    layers->push_back(feed_forward);
  }
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& bias) {
    const auto y = in_range(x + attention->part(attention->norm(x), bias));
    return in_range(y + feed_forward->part(feed_forward->norm(y)));
  }

  std::shared_ptr<AttentionLayer> attention;
  std::shared_ptr<FeedForwardLayer> feed_forward;
};
TORCH_MODULE(Block);

}  // namespace

class T5StackImpl : public torch::nn::Module {
 public:
  explicit T5StackImpl(const T5Config& c) {
    blocks = register_module("block", torch::nn::ModuleList());
    for (int64_t i = 0; i < c.num_layers; ++i) {
      blocks->push_back(Block(c, i == 0));
    }
    final_norm_ = register_module("final_layer_norm", RmsNorm(c));
  }
  /** Embeddings [B,L,d_model] -> [B,L,d_model]. */
  torch::Tensor forward(torch::Tensor x) {
    const auto bias = blocks[0]->as<Block>()->attention->part->bias(x.size(1));
    for (const auto& block : *blocks) {
      x = block->as<Block>()->forward(x, bias);
    }
    return final_norm_(x);
  }

  torch::nn::ModuleList blocks{nullptr};

 private:
  RmsNorm final_norm_{nullptr};
};

T5Config T5Config::from_json(const json& from, const std::string& origin) {
  const JsonFields fields(from, "[T5Config] " + origin,
                          JsonFields::Null::is_missing);
  T5Config c;
  fields.integer("vocab_size", c.vocab_size, 1, kMostTokens);
  fields.integer("d_model", c.d_model, 1, kWidest);
  fields.integer("d_kv", c.d_kv, 1, kWidest);
  fields.integer("d_ff", c.d_ff, 1, kWidest);
  fields.integer("num_layers", c.num_layers, 1, kMostLayers);
  fields.integer("num_heads", c.num_heads, 1, kWidest);
  // Four are near and far distances, before and ahead.
  fields.integer("relative_attention_num_buckets",
                 c.relative_attention_num_buckets, 4, kWidest);
  fields.integer("relative_attention_max_distance",
                 c.relative_attention_max_distance, 1, kMostTokens);
  fields.check(
      "relative_attention_max_distance",
      c.relative_attention_max_distance > c.relative_attention_num_buckets / 4,
      "more than a quarter of relative_attention_num_buckets");
  fields.number_above("layer_norm_epsilon", c.layer_norm_epsilon, 0, 1);
  fields.choice("feed_forward_proj", c.feed_forward_proj,
                {"gated-gelu", "relu"});
  return c;
}

TensorShapes T5Config::anchors() const {
  const std::string first = "encoder.block.0.layer.0.SelfAttention.";
  const std::string last = cat("encoder.block.", num_layers - 1, ".layer.1.");
  return {{"shared.weight", {vocab_size, d_model}},
          {first + "q.weight", {num_heads * d_kv, d_model}},
          {first + "relative_attention_bias.weight",
           {relative_attention_num_buckets, num_heads}},
          {last + "DenseReluDense.wo.weight", {d_model, d_ff}}};
}

json T5Config::to_json() const {
  return {{"architectures", {"T5EncoderModel"}},
          {"model_type", "t5"},
          {"vocab_size", vocab_size},
          {"d_model", d_model},
          {"d_kv", d_kv},
          {"d_ff", d_ff},
          {"num_layers", num_layers},
          {"num_heads", num_heads},
          {"relative_attention_num_buckets", relative_attention_num_buckets},
          {"relative_attention_max_distance", relative_attention_max_distance},
          {"layer_norm_epsilon", layer_norm_epsilon},
          {"feed_forward_proj", feed_forward_proj}};
}

T5EncoderModelImpl::T5EncoderModelImpl(const T5Config& config)
    : config_(config) {
  shared_ = register_module("shared", Table(config.vocab_size, config.d_model));
  encoder_ = register_module("encoder", std::make_shared<T5StackImpl>(config));
}

torch::Tensor T5EncoderModelImpl::forward(const torch::Tensor& ids) {
  RSM_CHECK(
      ids.dim() == 2 && ids.size(1) >= 1 && ids.scalar_type() == at::kLong,
      "[T5EncoderModel] ids of shape ", ids.sizes(), ", type ",
      ids.scalar_type(), " arrived; int64 [B,L] with L from 1 is needed");
  return encoder_->forward(shared_->as<Table>()->forward(ids));
}

void T5EncoderModelImpl::set_type(torch::ScalarType type) {
  const torch::NoGradGuard no_grad;
  for (auto& item : named_parameters()) {
    const bool wide = type == at::kHalf && item.key().ends_with(".wo.weight");
    item.value().set_data(item.value().to(wide ? at::kFloat : type));
  }
}

std::string t5_encoder_name(const std::string& name) {
  if (name == "encoder.embed_tokens.weight") return "shared.weight";
  return name.starts_with("decoder.") || name.starts_with("lm_head.") ? ""
                                                                      : name;
}

}  // namespace rsm
