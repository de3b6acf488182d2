#include "rsm/judges/clip_towers.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/models/loading.h"
#include "rsm/models/text_encoders.h"

namespace rsm {
namespace {

constexpr const char* kScale = "logit_scale";
/** Texts whose features are kept, of a few kilobytes each. */
constexpr size_t kMostTexts = 1 << 16;

TensorShapes shapes_of(const StateDict& tensors) {
  TensorShapes out;
  for (const auto& [name, tensor] : tensors) {
    out[name] = tensor.sizes().vec();
  }
  return out;
}

nlohmann::json read_if_there(const std::string& path) {
  return is_file(path) ? read_python_json(path) : nlohmann::json();
}

torch::Tensor of_norm_one(const torch::Tensor& features) {
  const auto wide = features.to(at::kFloat);
  return wide / wide.norm(2, {-1}, /*keepdim=*/true);
}

/** Gives a tower its weights, to be read only. */
template <typename Tower>
void adopt(Tower& tower, const StateDict& weights, const std::string& place,
           const ClipTowersOptions& options) {
  adopt_parameters(*tower, weights, place);
  tower->to(options.type);
  tower->to(options.device);
  for (auto& weight : tower->parameters()) weight.set_requires_grad(false);
}

}  // namespace

ClipConfigs clip_configs(const JudgeWeights& read, bool text) {
  const auto shapes = shapes_of(read.tensors);
  if (is_open_clip(shapes)) {
    const std::string origin = read.folder + "/open_clip_config.json";
    return open_clip_configs(shapes, read_if_there(origin), origin);
  }
  const std::string origin = read.folder + "/config.json";
  const auto config = read_python_json(origin);
  ClipConfigs out;
  out.vision = ClipVisionConfig::from_json(config, origin);
  if (text) out.text = ClipTextConfig::from_json(config, origin);
  return out;
}

StateDict clip_tensors(const JudgeWeights& read) {
  return is_open_clip(shapes_of(read.tensors)) ? open_clip_names(read.tensors)
                                               : read.tensors;
}

ClipTowers::ClipTowers(const std::string& who, const std::string& path,
                       const ClipTowersOptions& options)
    : who_(who), options_(options) {
  const auto read = read_judge(who, path);
  folder_ = read.folder;
  load(read);
}

void ClipTowers::load(const JudgeWeights& read) {
  const auto configs = clip_configs(read, options_.text);
  const StateDict named = clip_tensors(read);
  const auto vision = clip_vision_names(named);
  check_shapes(configs.vision.anchors(), shapes_of(vision), folder_);
  RSM_CHECK(configs.vision.num_channels == 3, "[", who_, "] ", folder_,
            ": pictures of ", configs.vision.num_channels,
            " channels are looked at; 3 are needed");
  vision_ = ClipVisionModel(configs.vision);
  adopt(vision_, vision, folder_, options_);
  if (const auto found = named.find(kScale); found != named.end()) {
    scale_ = std::exp(found->second.to(at::kDouble).mean().item<double>());
  }
  if (!options_.text) return;
  const auto text = clip_text_names(named);
  check_shapes(configs.text.anchors(true), shapes_of(text), folder_);
  RSM_CHECK(configs.text.projection_dim == width(), "[", who_, "] ", folder_,
            ": features of texts have ", configs.text.projection_dim,
            " numbers and those of pictures ", width(),
            "; as many of both are needed");
  tokenizer_ = read_clip_tokenizer(tokenizer_folder(folder_), configs.text);
  text_ = ClipTextModel(configs.text, /*with_projection=*/true);
  adopt(text_, text, folder_, options_);
}

torch::Tensor ClipTowers::image_features(const torch::Tensor& pixels) const {
  return of_norm_one(
      vision_->forward(pixels.to(options_.device, options_.type)).image_embeds);
}

torch::Tensor ClipTowers::encoded(const std::string& text) const {
  const auto ids = tokenizer_->encode_batch({text}).to(options_.device);
  return of_norm_one(text_->forward(ids).text_embeds).squeeze(0);
}

torch::Tensor ClipTowers::text_features(
    const std::vector<std::string>& texts) const {
  RSM_CHECK(tokenizer_.has_value(), "[", who_,
            "] the text tower was not asked for; load it, too");
  const torch::NoGradGuard no_grad;
  const std::lock_guard lock(keeping_);
  std::vector<torch::Tensor> rows;
  for (const auto& text : texts) {
    auto found = kept_.find(text);
    if (found == kept_.end()) {
      if (kept_.size() >= kMostTexts) kept_.clear();
      found = kept_.emplace(text, encoded(text)).first;
    }
    rows.push_back(found->second);
  }
  if (rows.empty()) {
    return at::empty({0, width()},
                     at::dtype(at::kFloat).device(options_.device));
  }
  return at::stack(rows);
}

double ClipTowers::scale() const {
  RSM_CHECK(scale_.has_value(), "[", who_, "] ", folder_, " has no tensor ",
            kScale, "; take the weights of the whole CLIP");
  return *scale_;
}

}  // namespace rsm
