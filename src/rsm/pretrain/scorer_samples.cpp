#include "rsm/pretrain/scorer_samples.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/safetensors.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/image_model.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/evaluation.h"

namespace rsm {
namespace {

constexpr int64_t kSteps = 10;   ///< of the ODE, as the models are meant
constexpr int64_t kChunk = 128;  ///< pictures sampled at once
constexpr float kMostByte = 255;

/** Draws one request's pictures. */
class Drawer {
 public:
  Drawer(const SampleRequest& request, const Progress& progress)
      : model_(ImageModel::load(request.model)),
        denoiser_(
            model_.network, model_.text->encode({""}), request.guidance,
            {16, std::max<int64_t>(1, std::thread::hardware_concurrency())}),
        times_(model_.path->times(kSteps)),
        set_(make_evaluation_set(shapes::prompts_of(request.split),
                                 request.pictures, request.seed)) {
    set_.latent_shape = model_.latent_shape();
    denoiser_.watch(&progress);
  }

  const EvaluationSet& set() const { return set_; }

  torch::Tensor draw(int64_t first, int64_t count) {
    std::vector<int64_t> chosen;
    std::vector<std::string> texts;
    for (int64_t i = first; i < first + count; ++i) {
      chosen.push_back(i);
      texts.push_back(set_.prompts[i].text);
    }
    const auto images = model_.decoder->decode(
        sample_ode(denoiser_, *model_.path, times_, set_.noise(chosen),
                   model_.text->encode(texts)));
    RSM_CHECK(
        images.size(2) == shapes::kSize && images.size(3) == shapes::kSize,
        "[pretrain] data.model draws pictures of ", images.sizes(),
        "; [B,3,32,32] is needed");
    return (images * kMostByte).round().to(at::kByte);
  }

 private:
  ImageModel model_;
  GuidedNetwork denoiser_;
  std::vector<double> times_;
  EvaluationSet set_;
};

/** What tells these samples from others. */
std::string name_of(const std::vector<SampleRequest>& requests) {
  auto all = nlohmann::json::array();
  for (const auto& request : requests) {
    all.push_back({{"model", request.model},
                   {"held_out", request.split == shapes::Split::held_out},
                   {"guidance", request.guidance},
                   {"pictures", request.pictures},
                   {"seed", request.seed}});
  }
  return json_line(all);
}

ModelSamples draw_all(const std::vector<SampleRequest>& requests,
                      Progress& progress) {
  ModelSamples out;
  std::vector<torch::Tensor> parts;
  int64_t all = 0;
  for (const auto& request : requests) all += request.pictures;
  progress.begin("samples", all);
  for (const auto& request : requests) {
    if (request.pictures == 0) continue;
    Drawer drawer(request, progress);
    const auto& prompts = drawer.set().prompts;
    for (int64_t first = 0; first < request.pictures; first += kChunk) {
      const int64_t count = std::min(kChunk, request.pictures - first);
      parts.push_back(drawer.draw(first, count));
      for (int64_t i = first; i < first + count; ++i) {
        out.own.push_back(prompts[i].id);
      }
      progress.update(out.size(), "");
    }
  }
  progress.end();
  out.pictures = at::cat(parts);
  return out;
}

}  // namespace

torch::Tensor ModelSamples::floats(const std::vector<int64_t>& chosen) const {
  return pictures.index_select(0, torch::tensor(chosen, at::kLong))
                 .to(at::kFloat) *
             (2 / kMostByte) -
         1;
}

ShapesPictures ModelSamples::all() const {
  return {pictures.to(at::kFloat) * (2 / kMostByte) - 1, own};
}

ModelSamples draw_samples(const std::vector<SampleRequest>& requests,
                          const std::string& file, Progress& progress) {
  const auto name = name_of(requests);
  if (is_there(file)) {
    const auto kept = read_safetensors(file);
    const auto found = kept.metadata.find("requests");
    if (found != kept.metadata.end() && found->second == name) {
      const auto own = kept.tensors.at("own").contiguous();
      const auto* first = own.const_data_ptr<int64_t>();
      return {kept.tensors.at("pictures"), {first, first + own.numel()}};
    }
  }
  auto out = draw_all(requests, progress);
  write_safetensors(
      file,
      {{"pictures", out.pictures}, {"own", torch::tensor(out.own, at::kLong)}},
      {{"requests", name}});
  return out;
}

}  // namespace rsm
