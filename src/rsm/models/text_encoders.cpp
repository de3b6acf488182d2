#include "rsm/models/text_encoders.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/sharded.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

constexpr const char* kWeights = "model";
constexpr const char* kT5Part = "text_encoder_3";
constexpr const char* kT5Tokenizer = "tokenizer_3";

/** Texts a call of small encoders; of a large one, one keeps cores busy. */
constexpr int64_t kTextsAtOnce = 16;
constexpr int64_t kLarge = 64'000'000;  // parameters

int64_t numbers_in(const TensorShapes& shapes) {
  int64_t sum = 0;
  for (const auto& [name, shape] : shapes) sum += c10::multiply_integers(shape);
  return sum;
}

template <typename Config>
Config read_config(const std::string& part) {
  const std::string path = part + "/config.json";
  return Config::from_json(read_python_json(path), path);
}

/** Zeros beside what [B,L,E] has, up to `width`. */
torch::Tensor filled_up(const torch::Tensor& tokens, int64_t width) {
  return at::constant_pad_nd(tokens, {0, width - tokens.size(2)});
}

}  // namespace

ClipTokenizer read_clip_tokenizer(const std::string& folder,
                                  const ClipTextConfig& text) {
  auto tokenizer = ClipTokenizer::load(folder, text.max_position_embeddings);
  RSM_CHECK(tokenizer.max_length() <= text.max_position_embeddings,
            "[ClipTokenizer] ", folder, ": model_max_length is ",
            tokenizer.max_length(), "; the text encoder takes at most ",
            text.max_position_embeddings, " (max_position_embeddings)");
  RSM_CHECK(tokenizer.vocabulary_size() <= text.vocab_size, "[ClipTokenizer] ",
            folder, " has ids up to ", tokenizer.vocabulary_size() - 1,
            "; the text encoder has ", text.vocab_size,
            " tokens (vocab_size): added tokens need their embeddings");
  return tokenizer;
}

TextEncoders::TextEncoders(ClipTextModel clip, ClipTokenizer tokenizer,
                           const std::string& folder) {
  folder_.path = folder;
  const auto config = clip->config();
  clips_.push_back({"text_encoder", "tokenizer", config, std::move(tokenizer),
                    std::move(clip)});
  folder_.projection = clips_.front().model->has_projection();
}

std::shared_ptr<TextEncoders> TextEncoders::open(const TextFolder& folder,
                                                 const TextOptions& options) {
  std::shared_ptr<TextEncoders> out(new TextEncoders());
  out->folder_ = folder;
  out->options_ = options;
  out->reads_ = true;
  for (int i = 0; i < (folder.second_clip ? 2 : 1); ++i) {
    const std::string number = i == 0 ? "" : "_2";
    const std::string part = "text_encoder" + number;
    const std::string place = folder.path + "/" + part;
    const auto config = read_config<ClipTextConfig>(place);
    auto tokenizer =
        read_clip_tokenizer(folder.path + "/tokenizer" + number, config);
    const auto shapes = clip_text_names(read_sharded_shapes(place, kWeights));
    check_shapes(config.anchors(folder.projection), shapes, place);
    out->parameters_ += numbers_in(shapes);
    out->clips_.push_back(
        {part, "tokenizer" + number, config, std::move(tokenizer)});
  }
  if (folder.t5 && options.t5) {
    const std::string place = folder.path + "/" + kT5Part;
    const auto config = read_config<T5Config>(place);
    auto tokenizer =
        T5Tokenizer::load(folder.path + "/" + kT5Tokenizer, options.t5_tokens);
    RSM_CHECK(tokenizer.vocabulary_size() <= config.vocab_size, "[ImageModel] ",
              folder.path, "/", kT5Tokenizer, " has ids up to ",
              tokenizer.vocabulary_size() - 1, "; the text encoder has ",
              config.vocab_size, " tokens (vocab_size)");
    const auto shapes = t5_encoder_names(read_sharded_shapes(place, kWeights));
    check_shapes(config.anchors(), shapes, place);
    out->parameters_ += numbers_in(shapes);
    out->t5_.emplace(T5{config, std::move(tokenizer)});
  }
  out->check_widths();
  return out;
}

void TextEncoders::check_widths() const {
  int64_t width = 0, pooled = 0;
  for (const auto& clip : clips_) {
    width += clip.config.hidden_size;
    if (folder_.projection) pooled += clip.config.projection_dim;
  }
  const bool fits =
      folder_.second_clip ? width <= folder_.width : width == folder_.width;
  RSM_CHECK(
      fits, "[ImageModel] ", folder_.path, ": the text encoder",
      folder_.second_clip ? "s have" : " has", " hidden_size ", width,
      folder_.second_clip ? " together" : "", "; the network takes ",
      folder_.width,
      folder_.projection ? " (joint_attention_dim)" : " (cross_attention_dim)");
  RSM_CHECK(pooled == folder_.pooled_width, "[ImageModel] ", folder_.path,
            ": projection_dim of the text encoders is ", pooled,
            "; the network takes ", folder_.pooled_width,
            " (pooled_projection_dim)");
  RSM_CHECK(!t5_ || t5_->config.d_model == folder_.width, "[ImageModel] ",
            folder_.path, "/", kT5Part, ": d_model is ",
            t5_ ? t5_->config.d_model : 0, "; the network takes ",
            folder_.width, " (joint_attention_dim)");
}

void TextEncoders::load() const {
  for (auto& clip : clips_) {
    if (!clip.model.is_empty()) continue;
    const std::string place = folder_.path + "/" + clip.part;
    ClipTextModel model(clip.config, folder_.projection);
    adopt_parameters(
        *model, clip_text_names(view_sharded(place, kWeights).tensors), place);
    model->to(options_.type);
    model->to(options_.device);
    clip.model = model;
  }
  if (t5_ && t5_->model.is_empty()) {
    const std::string place = folder_.path + "/" + kT5Part;
    T5EncoderModel model(t5_->config);
    adopt_parameters(
        *model, t5_encoder_names(view_sharded(place, kWeights).tensors), place);
    model->set_type(options_.type);
    model->to(options_.device);
    t5_->model = model;
  }
}

void TextEncoders::release() {
  if (!reads_) return;
  for (auto& clip : clips_) clip.model = nullptr;
  if (t5_) t5_->model = nullptr;
}

ClipTextModel TextEncoders::clip() const {
  load();
  return clips_.front().model;
}

Condition TextEncoders::encode_ids(const torch::Tensor& ids) const {
  RSM_CHECK(!folder_.second_clip,
            "[TextEncoders] token ids of one encoder "
            "arrived; the model has several");
  const auto out = clip()->forward(ids);
  if (folder_.projection) return {out.penultimate, out.text_embeds};
  return {out.last_hidden_state, {}};
}

torch::Tensor TextEncoders::t5_states(
    const std::vector<std::string>& texts) const {
  const auto kind = at::dtype(options_.type).device(options_.device);
  if (!t5_) {
    return at::zeros({std::ssize(texts), options_.t5_tokens, folder_.width},
                     kind);
  }
  return t5_->model->forward(
      t5_->tokenizer.encode_batch(texts).to(options_.device));
}

Condition TextEncoders::encode_some(
    const std::vector<std::string>& texts) const {
  if (!folder_.second_clip) {
    const auto device = clip()->parameters().front().device();
    return encode_ids(tokenizer().encode_batch(texts).to(device));
  }
  load();
  std::vector<torch::Tensor> tokens, pooled;
  for (auto& clip : clips_) {
    const auto ids = clip.tokenizer.encode_batch(texts).to(options_.device);
    const auto out = clip.model->forward(ids);
    tokens.push_back(out.penultimate);
    pooled.push_back(out.text_embeds);
  }
  const auto both = filled_up(at::cat(tokens, 2), folder_.width);
  return {at::cat({both, t5_states(texts)}, 1), at::cat(pooled, 1)};
}

Condition TextEncoders::encode(const std::vector<std::string>& texts) const {
  const torch::NoGradGuard no_grad;
  const bool one = is_large() && options_.device.is_cpu();
  const auto at_once = static_cast<size_t>(one ? 1 : kTextsAtOnce);
  std::vector<torch::Tensor> tokens, pooled;
  for (size_t first = 0; first < texts.size(); first += at_once) {
    const size_t count = std::min(at_once, texts.size() - first);
    const auto begin = texts.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<std::string> some(begin,
                                  begin + static_cast<std::ptrdiff_t>(count));
    some.resize(at_once);
    const auto out = encode_some(some);
    const auto rows = static_cast<int64_t>(count);
    tokens.push_back(out.tokens.slice(0, 0, rows));
    if (out.pooled.defined()) pooled.push_back(out.pooled.slice(0, 0, rows));
  }
  return {at::cat(tokens), pooled.empty() ? torch::Tensor() : at::cat(pooled)};
}

bool TextEncoders::cuts(const std::string& text) const {
  return tokenizer().cuts(text) && (!t5_ || t5_->tokenizer.cuts(text));
}

int64_t TextEncoders::longest() const {
  constexpr int64_t kClipOwn = 2, kT5Own = 1;  // start and end
  const int64_t clip = tokenizer().max_length() - kClipOwn;
  return t5_ ? std::max(clip, t5_->tokenizer.max_length() - kT5Own) : clip;
}

bool TextEncoders::is_large() const { return parameters_ > kLarge; }

std::vector<std::string> TextEncoders::parts() const {
  std::vector<std::string> out;
  for (const auto& clip : clips_) {
    out.push_back(clip.part);
    out.push_back(clip.tokenizer_part);
  }
  if (t5_) out.insert(out.end(), {kT5Part, kT5Tokenizer});
  return out;
}

}  // namespace rsm
