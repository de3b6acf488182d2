#include "rsm/judges/ocr_reward.h"

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/judges/judge_files.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/ocr_score.h"
#include "rsm/judges/ocr_settings.h"
#include "rsm/judges/pp_ocr.h"
#include "rsm/judges/tesseract_ocr.h"

namespace rsm {
namespace {

class OcrReward : public Reward {
 public:
  OcrReward(RewardSpec spec, std::string path)
      : spec_(std::move(spec)), path_(std::move(path)) {}

  std::string name() const override { return spec_.name; }
  std::string main_metric() const override { return settings().engine; }
  void check() const override { engine().check(); }
  void check_inputs(const Prompts& prompts, int64_t /*height*/,
                    int64_t /*width*/) const override {
    asked_of(prompts);
  }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override;

 private:
  const OcrSettings& settings() const;
  const OcrEngine& engine() const;
  std::vector<std::string> asked_of(const Prompts& prompts) const;
  std::string who() const { return "reward " + spec_.name; }

  RewardSpec spec_;
  std::string path_;
  mutable std::mutex reading_;
  mutable std::optional<const OcrSettings> settings_;
  mutable std::unique_ptr<const OcrEngine> engine_;
};

const OcrSettings& OcrReward::settings() const {
  const std::lock_guard lock(reading_);
  if (!settings_) settings_.emplace(read_ocr_settings(path_));
  return *settings_;
}

const OcrEngine& OcrReward::engine() const {
  const auto& how = settings();
  const std::lock_guard lock(reading_);
  if (!engine_) {
    if (how.engine == kTesseract) {
      engine_ = std::make_unique<TesseractOcr>(who(), how, threads_of(spec_));
    } else {
      engine_ = std::make_unique<PpOcr>(who(), how, threads_of(spec_));
    }
  }
  return *engine_;
}

/** The texts that pictures of them have to show. */
std::vector<std::string> OcrReward::asked_of(const Prompts& prompts) const {
  std::vector<std::string> asked;
  for (const auto& prompt : prompts) {
    asked.push_back(quoted_text(who(), prompt.text));
  }
  return asked;
}

RewardScores OcrReward::score(const torch::Tensor& images,
                              const Prompts& prompts) const {
  check_pictures(who(), images, prompts);
  const auto asked = asked_of(prompts);
  const OcrEngine& reader = engine();
  const int64_t count = images.size(0);
  std::vector<float> scores(asked.size());
  run_jobs(count, threads_of(spec_), [&](int64_t i) {
    scores[i] = static_cast<float>(ocr_score(reader.read(images[i]), asked[i]));
  });
  const auto value = at::tensor(scores, at::kFloat);
  return {value,
          {{settings().engine, value}, {"exact", value.eq(1).to(at::kFloat)}}};
}

}  // namespace

std::unique_ptr<Reward> make_ocr_reward(const RewardSpec& spec,
                                        const std::string& path) {
  if (spec.name.ends_with(':')) {
    throw UsageError(cat("[reward] got \"", spec.name,
                         "\"; a folder or a JSON file is needed behind the "
                         "colon, or no colon for ",
                         default_place("ocr")));
  }
  return std::make_unique<OcrReward>(
      spec, path.empty() ? default_place(spec.name) : path);
}

}  // namespace rsm
