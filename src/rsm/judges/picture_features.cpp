#include "rsm/judges/picture_features.h"

#include <algorithm>
#include <limits>

#include "rsm/base/error.h"
#include "rsm/data/prompts.h"
#include "rsm/io/files.h"
#include "rsm/judges/clip_pixels.h"
#include "rsm/judges/clip_towers.h"
#include "rsm/judges/script_module.h"

namespace rsm {
namespace {

/** Pictures of a network's call, the last repeated where fewer are left: as of
 * rewards (judges/network_reward.h). */
constexpr int64_t kTile = 8;

class ClipFeatures : public PictureFeatures {
 public:
  ClipFeatures(const std::string& who, const std::string& path,
               torch::Device device)
      : PictureFeatures(device),
        towers_(who, path, {device, torch::kFloat32, /*text=*/false}) {}

 protected:
  torch::Tensor features(const torch::Tensor& images) const override {
    return towers_.image_features(
        clip_pixels(images, towers_.image_size(), ClipFit::crop));
  }

 private:
  ClipTowers towers_;
};

class ScriptFeatures : public PictureFeatures {
 public:
  ScriptFeatures(const std::string& who, const std::string& path,
                 torch::Device device)
      : PictureFeatures(device),
        who_(who),
        path_(path),
        module_(read_script(who, path, device, torch::kFloat32)) {}

 protected:
  torch::Tensor features(const torch::Tensor& images) const override {
    const auto out = run_script(who_, module_, {images});
    const bool right = out.isTensor() && out.toTensor().dim() == 2 &&
                       out.toTensor().size(0) == images.size(0) &&
                       out.toTensor().is_floating_point();
    RSM_CHECK(right, "[", who_, "] ", path_, " returns ",
              out.isTensor() ? cat(out.toTensor().sizes()) : out.tagKind(),
              " for pictures ", images.sizes(),
              "; features [B,F] of floating point are needed");
    return out.toTensor();
  }

 private:
  std::string who_, path_;
  mutable torch::jit::Module module_;
};

}  // namespace

torch::Tensor PictureFeatures::of(const torch::Tensor& images) const {
  const torch::NoGradGuard no_grad;
  const int64_t count = images.size(0);
  std::vector<torch::Tensor> all;
  for (int64_t first = 0; first < count; first += kTile) {
    const auto rows =
        at::arange(first, first + kTile, at::kLong).clamp_max(count - 1);
    const auto found = features(images.index_select(0, rows.to(images.device()))
                                    .to(device_, at::kFloat))
                           .to(at::kCPU, at::kFloat);
    all.push_back(found.slice(0, 0, std::min(kTile, count - first)));
  }
  if (all.empty()) return at::empty({0, 1});
  const auto found = at::cat(all);
  const auto size = found.norm(2, {1}, /*keepdim=*/true);
  RSM_CHECK((size.isfinite() & (size > 0)).all().item<bool>(),
            "[features] a picture's features are all 0, or not finite: look at "
            "the network that gives them");
  return found / size;
}

std::unique_ptr<PictureFeatures> make_picture_features(const std::string& who,
                                                       const std::string& path,
                                                       torch::Device device) {
  if (!is_folder(path) && !path.ends_with(".safetensors")) {
    return std::make_unique<ScriptFeatures>(who, path, device);
  }
  return std::make_unique<ClipFeatures>(who, path, device);
}

std::vector<double> feature_diversity(const torch::Tensor& features,
                                      const Prompts& prompts) {
  RSM_CHECK(features.dim() == 2 && features.size(0) == std::ssize(prompts),
            "[features] ", features.sizes(), " of ", prompts.size(),
            " pictures; [B,F] of each is needed");
  std::vector<double> out(prompts.size(),
                          std::numeric_limits<double>::quiet_NaN());
  for (const auto& [id, index] : places_by_prompt(prompts)) {
    if (index.size() < 2) continue;
    const auto own = features.index_select(0, torch::tensor(index, at::kLong))
                         .to(at::kDouble);
    // Over pairs: the sum over all of cosines, less the diagonal.
    const auto n = static_cast<double>(index.size());
    const double sum = own.sum(0).square().sum().item<double>() -
                       own.square().sum().item<double>();
    out[index.front()] = 1 - sum / (n * (n - 1));
  }
  return out;
}

}  // namespace rsm
