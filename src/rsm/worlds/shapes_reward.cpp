#include "rsm/worlds/shapes_reward.h"

#include <ATen/Parallel.h>

#include "rsm/base/error.h"
#include "rsm/worlds/shapes_checker.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm::shapes {
namespace {

void check_images(const torch::Tensor& images, const Prompts& prompts) {
  RSM_CHECK(images.dim() == 4 && images.size(1) == 3 &&
                images.size(2) == kSize && images.size(3) == kSize,
            "[shapes reward] images ", images.sizes(), "; it judges [B,3,",
            kSize, ",", kSize, "]");
  check_pictures("shapes reward", images, prompts);
}

class ShapesReward : public Reward {
 public:
  std::string name() const override { return "shapes"; }
  std::string main_metric() const override { return "strict"; }
  std::vector<std::string> watched_metrics() const override {
    return {"texture"};
  }

  void check_inputs(const Prompts& prompts, int64_t height,
                    int64_t width) const override {
    RSM_CHECK(height == kSize && width == kSize, "[reward shapes] pictures of ",
              height, "x", width, " pixels; it judges those of ", kSize, "x",
              kSize, ", of the shapes world; name another `reward`");
    for (const auto& prompt : prompts) parse_caption(prompt.text);
  }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    check_images(images, prompts);
    const int64_t count = images.size(0);
    std::vector<Spec> specs;
    specs.reserve(count);
    for (const Prompt& prompt : prompts) {
      specs.push_back(parse_caption(prompt.text));
    }
    const torch::Tensor scaled = (images.detach() * 2 - 1).contiguous();
    const torch::Tensor graded = torch::empty({count}, torch::kFloat32);
    const torch::Tensor strict = torch::empty({count}, torch::kFloat32);
    const torch::Tensor texture = torch::empty({count}, torch::kFloat32);
    const float* pixels = scaled.const_data_ptr<float>();
    float* graded_out = graded.data_ptr<float>();
    float* strict_out = strict.data_ptr<float>();
    float* texture_out = texture.data_ptr<float>();
    at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* image = pixels + i * 3 * kSize * kSize;
        const Verdict verdict = shapes::check(image, specs[i]);
        graded_out[i] = static_cast<float>(verdict.graded);
        strict_out[i] = verdict.strict ? 1.0f : 0.0f;
        texture_out[i] = static_cast<float>(background_texture(image));
      }
    });
    return {graded,
            {{"graded", graded}, {"strict", strict}, {"texture", texture}}};
  }
};

}  // namespace

std::unique_ptr<Reward> make_reward() {
  return std::make_unique<ShapesReward>();
}

}  // namespace rsm::shapes
