#include "rsm/train/evaluation.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "rsm/base/error.h"
#include "rsm/models/image_model.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

/** Pictures sampled between two looks at the progress. */
constexpr int64_t kChunk = 128;

MetricMeans means_of(const RewardScores& scores,
                     const std::vector<int64_t>& index) {
  const auto where = torch::tensor(index, at::kLong);
  const auto mean = [&](const torch::Tensor& values) {
    return values.index_select(0, where).to(at::kDouble).mean().item<double>();
  };
  MetricMeans means = {{"reward", mean(scores.value)}};
  for (const auto& [name, values] : scores.metrics) {
    means[name] = mean(values);
  }
  return means;
}

}  // namespace

torch::Tensor EvaluationSet::noise(int64_t first, int64_t count) const {
  std::vector<torch::Tensor> all;
  for (int64_t i = first; i < first + count; ++i) {
    all.push_back(initial_noise(seed, Purpose::evaluation, 0, prompts[i],
                                members[i], latent_shape));
  }
  return at::cat(all);
}

EvaluationSet make_evaluation_set(const Prompts& prompts, int64_t images,
                                  uint64_t seed) {
  std::vector<std::string> categories;
  std::map<std::string, Prompts> members;
  for (const auto& prompt : prompts) {
    if (members.count(prompt.category) == 0) {
      categories.push_back(prompt.category);
    }
    members[prompt.category].push_back(prompt);
  }
  RSM_CHECK(!categories.empty() && images > 0, "[evaluation] ", images,
            " images of ", prompts.size(),
            " prompts arrived; at least one of both is needed");
  EvaluationSet set;
  set.seed = seed;
  for (size_t c = 0; c < categories.size(); ++c) {
    const auto& own = members[categories[c]];
    // The first categories take one more where the number doesn't divide.
    const auto n = static_cast<int64_t>(categories.size());
    const int64_t count =
        images / n + (static_cast<int64_t>(c) < images % n ? 1 : 0);
    for (int64_t k = 0; k < count; ++k) {
      const auto size = static_cast<int64_t>(own.size());
      set.prompts.push_back(own[k % size]);
      set.members.push_back(k / size);
    }
  }
  return set;
}

std::optional<double> picture_diversity(const torch::Tensor& images,
                                        const Prompts& prompts) {
  std::map<int64_t, std::vector<int64_t>> of_prompt;
  for (size_t i = 0; i < prompts.size(); ++i) {
    of_prompt[prompts[i].id].push_back(static_cast<int64_t>(i));
  }
  double sum = 0;
  int64_t several = 0;
  for (const auto& [id, index] : of_prompt) {
    if (index.size() < 2) continue;
    const auto flat = images.index_select(0, torch::tensor(index, at::kLong))
                          .flatten(1)
                          .to(at::kDouble);
    sum += at::pdist(flat).mean().item<double>() /
           std::sqrt(static_cast<double>(flat.size(1)));
    ++several;
  }
  if (several == 0) return {};
  return sum / static_cast<double>(several);
}

Evaluation evaluate(Denoiser& denoiser, const Path& path,
                    const std::vector<double>& times, const EvaluationSet& set,
                    const Reward& reward,
                    const std::function<void(int64_t)>& on_images) {
  const auto device = set.conditions.tokens.device();
  std::vector<torch::Tensor> images;
  for (int64_t first = 0; first < set.size(); first += kChunk) {
    const int64_t count = std::min(kChunk, set.size() - first);
    const auto where = at::arange(first, first + count, at::kLong).to(device);
    const auto latents =
        sample_ode(denoiser, path, times, set.noise(first, count).to(device),
                   set.conditions.select(where));
    images.push_back(to_images(latents).to(at::kCPU));
    if (on_images) {
      on_images(first + count);
    }
  }
  Evaluation out;
  out.images = at::cat(images);
  out.scores = reward.score(out.images, set.prompts);
  std::vector<int64_t> all;
  std::map<std::string, std::vector<int64_t>> index;
  for (int64_t i = 0; i < set.size(); ++i) {
    all.push_back(i);
    index[set.prompts[i].category].push_back(i);
  }
  out.means = means_of(out.scores, all);
  if (const auto diversity = picture_diversity(out.images, set.prompts)) {
    out.means.emplace("diversity", *diversity);
  }
  for (const auto& [category, members] : index) {
    out.by_category[category] = means_of(out.scores, members);
    out.by_category[category]["images"] = static_cast<double>(members.size());
  }
  return out;
}

double drift(Denoiser& denoiser, Denoiser& reference, const Path& path,
             const std::vector<double>& times, const EvaluationSet& set,
             int64_t noisiest) {
  std::vector<int64_t> firsts;
  for (int64_t i = 0; i < set.size(); ++i) {
    if (set.members[i] == 0) {
      firsts.push_back(i);
    }
  }
  const auto where = torch::tensor(firsts, at::kLong);
  const auto device = set.conditions.tokens.device();
  const auto noise = set.noise(0, set.size()).index_select(0, where).to(device);
  const auto conditions = set.conditions.select(where.to(device));
  const int64_t all = static_cast<int64_t>(times.size()) - 2;
  const int64_t steps = noisiest > 0 ? std::min(noisiest, all) : all;
  const auto kind = SamplerNoise::usual;
  const StepNoise usual = {.kind = kind,
                           .level = usual_level(kind, path.family())};
  double total = 0;
  sample_ode(denoiser, path, times, noise, conditions,
             [&](int64_t i, const torch::Tensor& x, const torch::Tensor& y) {
               if (i >= steps) {
                 return;
               }
               const auto t = at::full({x.size(0)}, times[i], x.options());
               const auto y_ref = reference.predict(x, t, conditions);
               const double w = path.noisy_step(times, i, usual).w();
               total +=
                   0.5 * w * w *
                   (y - y_ref).to(at::kDouble).square().mean().item<double>();
             });
  return steps > 0 ? total / static_cast<double>(steps) : 0;
}

nlohmann::json to_json(const Evaluation& evaluation) {
  auto metrics = evaluation.means;
  metrics.erase("reward");
  nlohmann::json out = {{"images", evaluation.images.size(0)},
                        {"reward", evaluation.means.at("reward")},
                        {"metrics", metrics},
                        {"by_category", evaluation.by_category}};
  if (evaluation.kl) {
    out["kl"] = *evaluation.kl;
  }
  return out;
}

}  // namespace rsm
