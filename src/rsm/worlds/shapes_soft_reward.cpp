#include "rsm/worlds/shapes_soft_reward.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/io/files.h"
#include "rsm/worlds/shapes_reward.h"
#include "rsm/worlds/shapes_scorer.h"

namespace rsm::shapes {
namespace {

/** Pictures judged at once, the last ones repeated where fewer are left:
 * kernels differ in the last bits between batch sizes. */
constexpr int64_t kTile = 16;

class SoftReward : public Reward {
 public:
  explicit SoftReward(std::string folder) : folder_(std::move(folder)) {}

  std::string name() const override { return "shapes-soft"; }
  std::string main_metric() const override { return "strict"; }
  std::vector<std::string> watched_metrics() const override {
    return exact_->watched_metrics();
  }
  void check() const override { scorer(); }
  void check_inputs(const Prompts& prompts, int64_t height,
                    int64_t width) const override {
    exact_->check_inputs(prompts, height, width);
  }
  bool is_differentiable() const override { return true; }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    const torch::NoGradGuard no_grad;
    auto scores = exact_->score(images, prompts);
    scores.value = value_of(images, prompts);
    return scores;
  }

  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts& prompts) const override {
    RSM_CHECK(images.dim() == 4 && images.size(1) == 3 &&
                  images.size(2) == kSize && images.size(3) == kSize,
              "[reward shapes-soft] images ", images.sizes(),
              "; it judges [B,3,", kSize, ",", kSize, "]");
    const int64_t count = images.size(0);
    RSM_CHECK(count == std::ssize(prompts), "[reward shapes-soft] ", count,
              " images and ", prompts.size(),
              " prompts; one prompt for each image is needed");
    std::vector<Spec> specs;
    for (const Prompt& prompt : prompts) {
      specs.push_back(parse_caption(prompt.text));
    }
    if (count == 0) return at::empty({0}, images.options().dtype(at::kFloat));
    const Scorer there = scorer().on(images.device());
    const auto clipped = images.to(at::kFloat).clamp(0, 1);
    const auto captions = caption_numbers(specs).to(images.device());
    const bool carries = at::GradMode::is_enabled();
    std::vector<torch::Tensor> parts((count + kTile - 1) / kTile);
    run_jobs(std::ssize(parts), workers(), [&](int64_t tile) {
      const at::AutoGradMode mode(carries);
      const auto rows = at::arange(tile * kTile, (tile + 1) * kTile,
                                   images.options().dtype(at::kLong))
                            .clamp_max(count - 1);
      const auto cells = there.cells(clipped.index_select(0, rows));
      const auto asked = captions.index_select(0, rows).unsqueeze(1);
      parts[tile] = at::sigmoid(there.logits(cells, asked)).squeeze(1);
    });
    return at::cat(parts).narrow(0, 0, count);
  }

 private:
  static int64_t workers() {
    return std::max<int64_t>(1, std::thread::hardware_concurrency());
  }

  const Scorer& scorer() const {
    const std::lock_guard lock(reading_);
    if (!scorer_) {
      RSM_CHECK(is_folder(folder_), "[reward shapes-soft] there is no folder ",
                folder_,
                "; run rsm where it lies, or make it by `rsm pretrain "
                "configs/shapes/pretrain-scorer.yaml`");
      scorer_ = Scorer::load(folder_);
    }
    return *scorer_;
  }

  std::string folder_;
  std::unique_ptr<Reward> exact_ = make_reward();
  mutable std::mutex reading_;
  mutable std::optional<Scorer> scorer_;
};

}  // namespace

std::unique_ptr<Reward> make_soft_reward() {
  return make_soft_reward(kScorerFolder);
}

std::unique_ptr<Reward> make_soft_reward(const std::string& folder) {
  return std::make_unique<SoftReward>(folder);
}

}  // namespace rsm::shapes
