#include "rsm/judges/clip_reward.h"

#include <mutex>
#include <optional>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/judges/affine_head.h"
#include "rsm/judges/clip_pixels.h"
#include "rsm/judges/clip_towers.h"
#include "rsm/judges/judge_files.h"
#include "rsm/judges/network_reward.h"

namespace rsm {
namespace {

enum class Judgement { head, cosine, scaled_cosine };

/** What tells these rewards apart. */
struct Recipe {
  Judgement judgement;
  ClipFit fit;
};

class ClipReward : public NetworkReward {
 public:
  ClipReward(const RewardSpec& spec, std::string path, Recipe recipe)
      : NetworkReward(spec), path_(std::move(path)), recipe_(recipe) {}

  void check() const override { parts(); }

 protected:
  torch::Tensor judged(const torch::Tensor& images,
                       const Prompts& prompts) const override {
    const Parts& p = parts();
    const auto features = p.towers.image_features(
        clip_pixels(images, p.towers.image_size(), recipe_.fit));
    if (p.head) return (*p.head)(features);
    const auto texts = p.towers.text_features(texts_of(prompts));
    return p.scale * (features * texts).sum(1);
  }

 private:
  struct Parts {
    ClipTowers towers;
    std::optional<AffineHead> head = {};
    double scale = 1;

    Parts(const std::string& who, const std::string& path,
          const ClipTowersOptions& options)
        : towers(who, path, options) {}
  };

  const Parts& parts() const {
    const std::lock_guard lock(reading_);
    if (!parts_) {
      const bool head = recipe_.judgement == Judgement::head;
      auto read = std::make_unique<Parts>(
          who(), path_, ClipTowersOptions{device(), type(), !head});
      if (head) {
        read->head =
            AffineHead::load(who(), read->towers.folder() + "/head.safetensors",
                             read->towers.width(), device());
      }
      if (recipe_.judgement == Judgement::scaled_cosine) {
        read->scale = read->towers.scale();
      }
      parts_ = std::move(read);
    }
    return *parts_;
  }

  std::string path_;
  Recipe recipe_;
  mutable std::mutex reading_;
  mutable std::unique_ptr<const Parts> parts_;
};

std::unique_ptr<Reward> make(const RewardSpec& spec, const std::string& path,
                             Recipe recipe) {
  if (spec.name.ends_with(':')) {
    throw UsageError(
        cat("[reward] got \"", spec.name,
            "\"; a folder or a .safetensors file is needed behind "
            "the colon, or no colon for ",
            default_place(spec.name.substr(0, spec.name.size() - 1))));
  }
  return std::make_unique<ClipReward>(
      spec, path.empty() ? default_place(spec.name) : path, recipe);
}

}  // namespace

std::unique_ptr<Reward> make_aesthetic(const RewardSpec& spec,
                                       const std::string& path) {
  return make(spec, path, {Judgement::head, ClipFit::crop});
}

std::unique_ptr<Reward> make_clip_score(const RewardSpec& spec,
                                        const std::string& path) {
  return make(spec, path, {Judgement::cosine, ClipFit::crop});
}

std::unique_ptr<Reward> make_pick_score(const RewardSpec& spec,
                                        const std::string& path) {
  return make(spec, path, {Judgement::scaled_cosine, ClipFit::crop});
}

std::unique_ptr<Reward> make_hps(const RewardSpec& spec,
                                 const std::string& path) {
  return make(spec, path, {Judgement::cosine, ClipFit::pad});
}

}  // namespace rsm
