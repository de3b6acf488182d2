#include "rsm/runs/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "rsm/base/error.h"
#include "rsm/base/square_sum.h"
#include "rsm/data/prompts.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/evaluation_parts.h"

namespace rsm {
namespace {

/** Pictures sampled at once. */
constexpr int64_t kChunk = 128;

constexpr int64_t kShownRows = 12;      ///< where no category needs more
constexpr int64_t kMostShownRows = 48;  ///< further categories are left out

/** The first ones of every category in turn. */
std::vector<int64_t> shown_pictures(const EvaluationSet& set) {
  std::map<std::string, std::vector<int64_t>> index;
  std::vector<std::string> categories;
  for (int64_t i = 0; i < set.size(); ++i) {
    auto& members = index[set.prompts[i].category];
    if (members.empty()) {
      categories.push_back(set.prompts[i].category);
    }
    members.push_back(i);
  }
  const auto per_category = std::max<int64_t>(
      1, kShownRows / static_cast<int64_t>(categories.size()) / 2);
  std::vector<int64_t> chosen;
  for (const auto& category : categories) {
    const auto& members = index[category];
    const auto count = std::min<int64_t>(per_category * kShownColumns,
                                         static_cast<int64_t>(members.size()));
    chosen.insert(chosen.end(), members.begin(), members.begin() + count);
  }
  chosen.resize(
      std::min<size_t>(chosen.size(), kShownColumns * kMostShownRows));
  return chosen;
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

torch::Tensor EvaluationSet::noise(const std::vector<int64_t>& pictures,
                                   int64_t number) const {
  std::vector<torch::Tensor> all;
  for (const int64_t i : pictures) {
    all.push_back(initial_noise(seed, Purpose::evaluation, number, prompts[i],
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
  set.shown = shown_pictures(set);
  return set;
}

std::vector<double> picture_diversity(const torch::Tensor& images,
                                      const Prompts& prompts) {
  std::vector<double> out(prompts.size(),
                          std::numeric_limits<double>::quiet_NaN());
  for (const auto& [id, index] : places_by_prompt(prompts)) {
    if (index.size() < 2) continue;
    const auto flat = images.index_select(0, torch::tensor(index, at::kLong))
                          .flatten(1)
                          .to(at::kDouble);
    out[index.front()] = at::pdist(flat).mean().item<double>() /
                         std::sqrt(static_cast<double>(flat.size(1)));
  }
  return out;
}

namespace {

/** Pictures of an evaluation, whole prompts at a time, in the order in which
 * prompts first come; about `count` each. */
std::vector<std::vector<int64_t>> by_prompts(const EvaluationSet& set,
                                             int64_t count) {
  std::map<int64_t, size_t> place;
  std::vector<std::vector<int64_t>> of_prompt;
  for (int64_t i = 0; i < set.size(); ++i) {
    const auto [at, is_new] =
        place.emplace(set.prompts[i].id, of_prompt.size());
    if (is_new) of_prompt.emplace_back();
    of_prompt[at->second].push_back(i);
  }
  std::vector<std::vector<int64_t>> parts;
  for (const auto& pictures : of_prompt) {
    if (parts.empty() || std::ssize(parts.back()) >= count) {
      parts.emplace_back();
    }
    parts.back().insert(parts.back().end(), pictures.begin(), pictures.end());
  }
  return parts;
}

/** The prompts of some pictures, each once, and which one each picture has. */
struct PartPrompts {
  Prompts of_pictures;
  std::vector<std::string> texts;
  std::vector<int64_t> index;

  PartPrompts(const EvaluationSet& set, const std::vector<int64_t>& pictures) {
    std::map<int64_t, int64_t> place;
    for (const int64_t i : pictures) {
      const auto& prompt = set.prompts[i];
      of_pictures.push_back(prompt);
      const auto [at, is_new] = place.emplace(prompt.id, std::ssize(texts));
      if (is_new) texts.push_back(prompt.text);
      index.push_back(at->second);
    }
  }
};

}  // namespace

Evaluation evaluate(Denoiser& denoiser, const Drawing& drawing,
                    const EvaluationSet& set, const Reward& reward,
                    const std::function<void(int64_t)>& on_images,
                    const PictureMetrics* beside, Communicator* ranks) {
  Communicator sole;
  auto& all = ranks == nullptr ? sole : *ranks;
  const auto times = drawing.solving.times(drawing.path, drawing.times);
  const int64_t held =
      std::min(kChunk, pictures_at_once(drawing.decoder, set.latent_shape));
  const int64_t share = (set.size() + all.size() - 1) / all.size();
  const auto parts = by_prompts(set, std::min(held, share));
  const auto own = all.share_of(std::ssize(parts));
  int64_t done = 0;
  std::vector<PartScores> seen;
  const auto judge = [&](const std::vector<int64_t>& part) {
    const PartPrompts prompts(set, part);
    const auto conditions = drawing.conditioner.encode(prompts.texts);
    const auto noise = [&](int64_t number) {
      return set.noise(part, number).to(conditions.tokens.device());
    };
    const auto latents =
        sample_by(drawing.solving, denoiser, drawing.path, times, noise(0),
                  {conditions, torch::tensor(prompts.index, at::kLong)},
                  [&](int64_t step) { return noise(step + 1); });
    seen.push_back(part_scores(set, part, drawing.decoder.decode(latents),
                               prompts.of_pictures, reward, beside));
    done += std::ssize(part);
    if (on_images) {
      on_images(done);
    }
  };
  bool stopped = false;
  try {
    for (int64_t p = own.first; p < own.last; ++p) judge(parts[p]);
  } catch (const Interrupted&) {
    if (all.is_sole()) throw;
    stopped = true;
  }
  if (!all.is_sole()) {
    if (all.any(stopped)) throw Interrupted("interrupted");
    seen = gathered(all, seen);
  }
  auto out = joined(set, seen, reward.name());
  out.all = summary_of(out.pictures);
  for (const auto& category : out.pictures.categories) {
    if (out.by_category.contains(category)) continue;
    out.by_category[category] = summary_of(of_category(out.pictures, category));
  }
  return out;
}

PathDrift path_drift(Denoiser& denoiser, Denoiser& reference,
                     const Drawing& drawing, const EvaluationSet& set,
                     int64_t noisiest) {
  const auto& times = drawing.times;
  const int64_t all = std::ssize(times) - 2;
  const int64_t steps = noisiest > 0 ? std::min(noisiest, all) : all;
  const auto kind = SamplerNoise::usual;
  const StepNoise usual = {.kind = kind,
                           .level = usual_level(kind, drawing.path.family())};
  double total = 0, compared = 0, own = 0, others = 0;
  std::vector<int64_t> part;
  const auto compare = [&] {
    const PartPrompts prompts(set, part);
    const auto conditions = drawing.conditioner.encode(prompts.texts);
    sample_ode(denoiser, drawing.path, times,
               set.noise(part).to(conditions.tokens.device()), conditions,
               [&](int64_t i, const torch::Tensor& x, const torch::Tensor& y) {
                 if (i >= steps) {
                   return;
                 }
                 const auto t = at::full({x.size(0)}, times[i], x.options());
                 const auto y_ref = reference.predict(x, t, conditions);
                 const double w = drawing.path.noisy_step(times, i, usual).w();
                 total += 0.5 * w * w * static_cast<double>(x.size(0)) *
                          square_sum(y - y_ref) /
                          static_cast<double>(y.numel());
                 own += square_sum(y);
                 others += square_sum(y_ref);
               });
    compared += static_cast<double>(part.size());
    part.clear();
  };
  for (int64_t i = 0; i < set.size(); ++i) {
    if (set.members[i] != 0) continue;
    part.push_back(i);
    if (std::ssize(part) == kChunk) compare();
  }
  if (!part.empty()) compare();
  if (steps <= 0) return {};
  return {total / compared / static_cast<double>(steps),
          0.5 * std::log(own / others)};
}

double drift(Denoiser& denoiser, Denoiser& reference, const Drawing& drawing,
             const EvaluationSet& set, int64_t noisiest) {
  return path_drift(denoiser, reference, drawing, set, noisiest).kl;
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
  out["watch"] = evaluation.watch;
  return out;
}

}  // namespace rsm
