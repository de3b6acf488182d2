#include "rsm/judges/picture_metrics.h"

namespace rsm {

std::vector<std::string> PictureMetricPaths::given() const {
  std::vector<std::string> out;
  for (const auto* path : {&features, &niqe, &brisque}) {
    if (!path->empty()) out.push_back(*path);
  }
  return out;
}

std::vector<std::string> PictureMetricPaths::worse_if_more() const {
  std::vector<std::string> out;
  if (!niqe.empty()) out.push_back("niqe");
  if (!brisque.empty()) out.push_back("brisque");
  return out;
}

PictureMetrics::PictureMetrics(const PictureMetricPaths& paths,
                               torch::Device device) {
  if (!paths.features.empty()) {
    features_ =
        make_picture_features("evaluation.features", paths.features, device);
  }
  if (!paths.niqe.empty()) niqe_.emplace(paths.niqe);
  if (!paths.brisque.empty()) brisque_.emplace(paths.brisque);
}

std::map<std::string, std::vector<double>> PictureMetrics::of(
    const torch::Tensor& images, const Prompts& prompts) const {
  std::map<std::string, std::vector<double>> out;
  if (features_) {
    out["feature_diversity"] =
        feature_diversity(features_->of(images), prompts);
  }
  for (int64_t i = 0; i < images.size(0); ++i) {
    if (niqe_) out["niqe"].push_back(niqe_->of(images[i]));
    if (brisque_) out["brisque"].push_back(brisque_->of(images[i]));
  }
  return out;
}

}  // namespace rsm
