#include "rsm/runs/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "rsm/base/error.h"
#include "rsm/models/image_model.h"
#include "rsm/rewards/weighted_reward.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

/** Pictures sampled between two looks at the progress. */
constexpr int64_t kChunk = 128;

std::vector<double> numbers(const torch::Tensor& values) {
  const auto all = values.to(at::kCPU, at::kDouble).contiguous();
  const double* first = all.const_data_ptr<double>();
  return {first, first + all.numel()};
}

ScoreSummary summary_of(const PictureScores& scores) {
  return {scores.size(), means_of(scores), errors_of(scores), {}};
}

/** Standard errors and their degrees of freedom, each by metric. */
void add_errors(const MetricErrors& errors, const std::string& prefix,
                nlohmann::json& out) {
  auto& standard = out[prefix + "errors"] = nlohmann::json::object();
  auto& freedom = out[prefix + "freedom"] = nlohmann::json::object();
  for (const auto& [name, error] : errors) {
    standard[name] = error.standard;
    freedom[name] = error.freedom;
  }
}

nlohmann::json with_errors(nlohmann::json out, const ScoreSummary& scores) {
  out["reward"] = scores.means.at("reward");
  add_errors(scores.errors, "", out);
  if (!scores.change_errors.empty()) {
    add_errors(scores.change_errors, "change_", out);
  }
  return out;
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

std::vector<double> picture_diversity(const torch::Tensor& images,
                                      const Prompts& prompts) {
  std::map<int64_t, std::vector<int64_t>> of_prompt;
  for (size_t i = 0; i < prompts.size(); ++i) {
    of_prompt[prompts[i].id].push_back(static_cast<int64_t>(i));
  }
  std::vector<double> out(prompts.size(),
                          std::numeric_limits<double>::quiet_NaN());
  for (const auto& [id, index] : of_prompt) {
    if (index.size() < 2) continue;
    const auto flat = images.index_select(0, torch::tensor(index, at::kLong))
                          .flatten(1)
                          .to(at::kDouble);
    out[index.front()] = at::pdist(flat).mean().item<double>() /
                         std::sqrt(static_cast<double>(flat.size(1)));
  }
  return out;
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
  const auto scores = reward.score(out.images, set.prompts);
  for (const auto& text : suspicious(scores)) {
    out.warnings.push_back("in the evaluation, " + text);
  }
  out.pictures = pictures_of(set.prompts, set.members, set.seed);
  auto& metrics = out.pictures.metrics;
  metrics["reward"] = numbers(scores.value);
  for (const auto& [name, values] : scores.metrics) {
    metrics.emplace(name, numbers(values));
  }
  metrics.emplace("diversity", picture_diversity(out.images, set.prompts));
  out.all = summary_of(out.pictures);
  for (const auto& category : out.pictures.categories) {
    if (out.by_category.contains(category)) continue;
    out.by_category[category] = summary_of(of_category(out.pictures, category));
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

void pair_with(const PictureScores& before, Evaluation& evaluation) {
  const auto change = difference(before, evaluation.pictures);
  evaluation.all.change_errors = errors_of(change);
  for (auto& [category, scores] : evaluation.by_category) {
    scores.change_errors = errors_of(of_category(change, category));
  }
}

nlohmann::json to_json(const Evaluation& evaluation) {
  auto metrics = evaluation.all.means;
  metrics.erase("reward");
  nlohmann::json categories = nlohmann::json::object();
  for (const auto& [category, scores] : evaluation.by_category) {
    categories[category] = with_errors(scores.means, scores);
    categories[category]["images"] = scores.images;
  }
  auto out = with_errors({{"images", evaluation.all.images},
                          {"metrics", metrics},
                          {"by_category", categories}},
                         evaluation.all);
  if (evaluation.kl) {
    out["kl"] = *evaluation.kl;
  }
  return out;
}

}  // namespace rsm
