#include "rsm/estimators/advantages.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/estimators/baselines.h"
#include "rsm/estimators/forward_advantages.h"
#include "rsm/estimators/pruning.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Combine = EstimatorKnobs::Combine;
using Grouping = EstimatorKnobs::Grouping;
using Source = EstimatorKnobs::Source;

/** The trained value among the names of PromptStatistics. */
constexpr const char* kValue = "value";

/** What is compared: the images of paths, or rows. */
struct Candidates {
  std::vector<int64_t> group;   ///< 0-based, in order of first appearance
  std::vector<int64_t> prompt;  ///< index into the rollout's prompts
  std::vector<int64_t> first;   ///< of a candidate's images
  std::vector<int64_t> images;  ///< how many these are

  size_t size() const { return group.size(); }
};

/** One reward of all images. */
struct Score {
  std::string name;
  double weight = 1;
  std::vector<double> images;  ///< [I]
};

/** The moments of each candidate's group. */
std::vector<Moments> group_standards(const std::vector<double>& rewards,
                                     const std::vector<int64_t>& group) {
  const auto moments = group_moments(rewards, group);
  std::vector<Moments> out;
  for (const int64_t g : group) out.push_back(moments[g]);
  return out;
}

std::vector<double> finite_rewards(const torch::Tensor& rewards,
                                   const std::string& whose) {
  const auto out = doubles_of(rewards);
  for (size_t r = 0; r < out.size(); ++r) {
    RSM_CHECK(std::isfinite(out[r]), "[advantages] the reward of ", whose, " ",
              r, " of ", out.size(), " is ", out[r],
              "; rewards must be finite: look at the image it judged");
  }
  return out;
}

void check_knobs(const EstimatorKnobs& knobs, double clip) {
  RSM_CHECK(clip > 0, "[advantages] advantage clip ", clip,
            "; it must be above 0");
  RSM_CHECK(std::isfinite(knobs.spread_offset) && knobs.spread_offset >= 0,
            "[advantages] spread offset ", knobs.spread_offset,
            "; it must be 0 or more");
}

/** Clips the sums; `rewards` are those whose spread is told. */
Advantages clipped(const AdvantageSums& sums, const std::vector<int64_t>& group,
                   const std::vector<double>& rewards, double clip) {
  const auto size = static_cast<int64_t>(group.size());
  Advantages out;
  out.group = group;
  for (const auto& m : group_moments(rewards, group)) {
    out.deviation.push_back(m.deviation);
  }
  out.dead.assign(out.deviation.size(), true);
  out.value = torch::zeros({size}, torch::kFloat32);
  out.alive = torch::zeros({size}, torch::kBool);
  out.differs = torch::zeros({size}, torch::kBool);
  out.trained = torch::ones({size}, torch::kBool);
  float* value = out.value.mutable_data_ptr<float>();
  bool* alive = out.alive.mutable_data_ptr<bool>();
  bool* differs = out.differs.mutable_data_ptr<bool>();
  for (int64_t r = 0; r < size; ++r) {
    if (!sums.alive[r]) continue;
    alive[r] = true;
    out.dead[group[r]] = false;
    value[r] = static_cast<float>(std::clamp(sums.value[r], -clip, clip));
    differs[r] = std::abs(sums.value[r]) > sums.rounding[r];
  }
  out.dead_groups = std::count(out.dead.begin(), out.dead.end(), true);
  return out;
}

/** The scores that are compared, all checked. */
std::vector<Score> compared_scores(const RewardScores& scores,
                                   const std::vector<double>& value,
                                   Combine combine) {
  if (combine == Combine::rewards || scores.parts.empty()) {
    return {{kValue, 1, value}};
  }
  std::vector<Score> out;
  std::set<std::string> names;
  for (const auto& part : scores.parts) {
    if (part.weight == 0) continue;
    RSM_CHECK(names.insert(part.name).second, "[advantages] two rewards named ",
              part.name, "; give each a name of its own");
    const auto images = static_cast<int64_t>(value.size());
    RSM_CHECK(part.value.dim() == 1 && part.value.size(0) == images &&
                  std::isfinite(part.weight),
              "[advantages] reward ", part.name, " with weight ", part.weight,
              " and values of shape ", part.value.sizes(), " for ", images,
              " images; a finite weight and one value an image are needed");
    out.push_back({part.name, part.weight,
                   finite_rewards(part.value, part.name + ", image")});
  }
  RSM_CHECK(!out.empty(), "[advantages] all ", scores.parts.size(),
            " rewards weigh 0; give one of them a weight");
  return out;
}

/** What each candidate is compared with; a running baseline first learns. */
std::vector<Moments> standards(const RolloutIndex& rollout,
                               const Candidates& candidates, const Score& score,
                               const std::vector<double>& rewards,
                               const EstimatorKnobs& knobs,
                               PromptStatistics* statistics) {
  if (knobs.baseline != Baseline::running) {
    return group_standards(rewards, candidates.group);
  }
  std::vector<int64_t> prompts;
  for (const int64_t p : rollout.image_prompt) {
    prompts.push_back(rollout.prompts[p].id);
  }
  statistics->update(score.name, prompts, score.images);
  const Moments epoch = moments_of(score.images);
  std::vector<Moments> out;
  for (const int64_t p : candidates.prompt) {
    const auto moments = statistics->moments(score.name, rollout.prompts[p].id);
    out.push_back(moments.count < knobs.buffer_least ? epoch : moments);
  }
  return out;
}

/** Mean over the images each candidate led to. */
std::vector<double> mean_rewards(const Candidates& candidates,
                                 const std::vector<double>& images) {
  std::vector<double> out;
  for (size_t u = 0; u < candidates.size(); ++u) {
    double sum = 0;
    for (int64_t i = 0; i < candidates.images[u]; ++i) {
      sum += images[candidates.first[u] + i];
    }
    out.push_back(sum / static_cast<double>(candidates.images[u]));
  }
  return out;
}

/** What candidates are compared by: a reward, or what a step of a path gained
 * over the picture before its row's own. */
std::vector<double> compared_rewards(const Candidates& candidates,
                                     const std::vector<double>& images,
                                     const EstimatorKnobs& knobs) {
  auto out = mean_rewards(candidates, images);
  for (size_t u = 0; knobs.judges_every_step() && u < out.size(); ++u) {
    RSM_CHECK(candidates.first[u] > 0, "[advantages] row ", u,
              " has no picture before its own; previous_step needs one");
    out[u] -= images[candidates.first[u] - 1];
  }
  return out;
}

Candidates rows_of(const RolloutIndex& rollout,
                   const std::vector<int64_t>& labels) {
  Candidates out;
  out.group = numbered(labels);
  out.first = rollout.row_image;
  out.images = rollout.row_images.empty()
                   ? std::vector<int64_t>(labels.size(), 1)
                   : rollout.row_images;
  for (const int64_t state : rollout.row_state) {
    out.prompt.push_back(rollout.state_prompt[state]);
  }
  return out;
}

Candidates images_of(const RolloutIndex& rollout,
                     const std::vector<int64_t>& labels) {
  std::vector<int64_t> image_label(rollout.images(), -1);
  for (size_t r = 0; r < labels.size(); ++r) {
    image_label[rollout.row_image[r]] = labels[r];
  }
  Candidates out;
  for (size_t image = 0; image < image_label.size(); ++image) {
    RSM_CHECK(image_label[image] >= 0, "[advantages] image ", image,
              " has no rows; every image of a rollout needs at least one");
    out.first.push_back(static_cast<int64_t>(image));
  }
  out.group = numbered(image_label);
  out.prompt = rollout.image_prompt;
  out.images.assign(image_label.size(), 1);
  return out;
}

void check_rows(const RolloutIndex& rollout, Source source) {
  const auto& counts = rollout.row_images;
  RSM_CHECK(counts.empty() || counts.size() == rollout.row_image.size(),
            "[advantages] numbers of images of ", counts.size(), " rows for ",
            rollout.rows(), " rows; one a row is needed");
  for (size_t r = 0; r < rollout.row_image.size(); ++r) {
    const int64_t first = rollout.row_image[r];
    const int64_t images = counts.empty() ? 1 : counts[r];
    RSM_CHECK(first >= 0 && images >= 1 && first + images <= rollout.images(),
              "[advantages] row ", r, " leads to ", images, " images from ",
              first, " on, of ", rollout.images(),
              "; a row leads to at least one that there is");
    RSM_CHECK(images == 1 || source == Source::tree, "[advantages] row ", r,
              " leads to ", images,
              " images; only rows of a tree lead to several");
  }
}

void check_statistics(const RolloutIndex& rollout, const EstimatorKnobs& knobs,
                      const PromptStatistics* statistics) {
  if (knobs.baseline != Baseline::running) return;
  RSM_CHECK(statistics != nullptr,
            "[advantages] a running baseline without prompt statistics; hand "
            "over those of the run");
  RSM_CHECK(statistics->size() == knobs.buffer_size,
            "[advantages] prompt statistics of ", statistics->size(),
            " rewards a prompt for estimator.buffer_size ", knobs.buffer_size,
            "; they must agree");
  const auto prompts = static_cast<int64_t>(rollout.prompts.size());
  for (const int64_t p : rollout.image_prompt) {
    RSM_CHECK(p >= 0 && p < prompts, "[advantages] an image of prompt ", p,
              " of ", prompts, "; a running baseline needs every image's");
  }
}

/** A path's rows share their image's advantage. */
void give_to_rows(Advantages& advantages, const RolloutIndex& rollout) {
  const auto row_image = torch::tensor(rollout.row_image, torch::kInt64);
  advantages.value = advantages.value.index_select(0, row_image);
  advantages.alive = advantages.alive.index_select(0, row_image);
  advantages.differs = advantages.differs.index_select(0, row_image);
  advantages.trained = advantages.trained.index_select(0, row_image);
  std::vector<int64_t> row_group;
  for (const int64_t image : rollout.row_image) {
    row_group.push_back(advantages.group[image]);
  }
  advantages.group = std::move(row_group);
}

void leave_out(Advantages& advantages, const std::vector<bool>& trained) {
  float* value = advantages.value.mutable_data_ptr<float>();
  bool* alive = advantages.alive.mutable_data_ptr<bool>();
  bool* differs = advantages.differs.mutable_data_ptr<bool>();
  bool* counts = advantages.trained.mutable_data_ptr<bool>();
  for (size_t r = 0; r < trained.size(); ++r) {
    if (trained[r]) continue;
    value[r] = 0;
    alive[r] = false;
    differs[r] = false;
    counts[r] = false;
  }
}

}  // namespace

Advantages group_advantages(const torch::Tensor& rewards,
                            const std::vector<int64_t>& group,
                            const EstimatorKnobs& knobs, double clip) {
  const auto rows = static_cast<int64_t>(group.size());
  RSM_CHECK(rewards.dim() == 1 && rewards.size(0) == rows,
            "[advantages] rewards of shape ", rewards.sizes(), " for ", rows,
            " group labels; one reward a row is needed");
  RSM_CHECK(knobs.baseline != Baseline::running,
            "[advantages] a running baseline for groups without prompts; take "
            "row_advantages");
  check_knobs(knobs, clip);
  const auto reward = finite_rewards(rewards, "row");
  const auto labels = numbered(group);
  AdvantageSums sums(reward.size());
  add_advantages(sums, 1, reward, group_standards(reward, labels),
                 moments_of(reward), knobs);
  return clipped(sums, labels, reward, clip);
}

Advantages uncompared(const torch::Tensor& value, const torch::Tensor& alive,
                      const torch::Tensor& rewards) {
  Advantages out;
  out.value = value;
  out.alive = alive;
  out.differs = at::ones_like(alive);
  out.trained = out.differs;
  out.group.assign(value.size(0), 0);
  out.deviation = {
      rewards.to(at::kDouble).std(/*unbiased=*/false).item<double>()};
  out.dead = {false};
  return out;
}

std::vector<int64_t> row_groups(const RolloutIndex& rollout,
                                const EstimatorKnobs& knobs) {
  // A path's rows share their image's advantage, so steps don't part them.
  const bool by_step = !knobs.rows_share_pictures();
  const bool parts_batch =
      knobs.source == Source::tree || knobs.judges_every_step();
  const auto steps = static_cast<int64_t>(rollout.transitions.size());
  std::vector<int64_t> labels;
  for (const int64_t state : rollout.row_state) {
    const int64_t step = rollout.state_step[state];
    int64_t label = 0;
    switch (knobs.grouping) {
      case Grouping::prompt:
        label = rollout.state_prompt[state];
        break;
      case Grouping::seed:
        label = rollout.state_root[state];
        break;
      case Grouping::root:
        labels.push_back(rollout.state_root[state]);
        continue;
      case Grouping::batch:
        labels.push_back(parts_batch ? step : 0);
        continue;
    }
    labels.push_back(by_step ? label * steps + step : label);
  }
  return labels;
}

Advantages row_advantages(const RolloutIndex& rollout,
                          const RewardScores& scores,
                          const EstimatorKnobs& knobs, double clip,
                          PromptStatistics* statistics,
                          const SoftReturn& soft) {
  if (rollout.noised_from > 0) {
    return with_forward_rows(
        row_advantages(without_forward_rows(rollout), scores, knobs, clip,
                       statistics, soft),
        rollout, knobs.forward.pictures);
  }
  RSM_CHECK(scores.value.dim() == 1 && scores.value.size(0) == rollout.images(),
            "[advantages] rewards of shape ", scores.value.sizes(), " for ",
            rollout.images(), " images; one reward an image is needed");
  check_knobs(knobs, clip);
  check_rows(rollout, knobs.source);
  check_statistics(rollout, knobs, statistics);
  const auto value = finite_rewards(scores.value, "image");
  const auto labels = row_groups(rollout, knobs);
  const bool path = knobs.rows_share_pictures();
  const Candidates candidates =
      path ? images_of(rollout, labels) : rows_of(rollout, labels);
  // Whatever can fail has to come before the statistics learn.
  const auto compared = compared_scores(scores, value, knobs.combine);
  std::vector<bool> trained;
  if (knobs.source == Source::tree) {
    trained = trained_rows(rollout, value, knobs.tree);
  }
  auto centred = knobs;
  // Exponentials have a scale of their own, which the others' mean would alter.
  if (!soft.alpha.empty()) centred.baseline = Baseline::mean;
  AdvantageSums sums(candidates.size());
  for (const auto& score : compared) {
    const auto rewards = compared_rewards(candidates, score.images, knobs);
    add_advantages(
        sums, score.weight, rewards,
        standards(rollout, candidates, score, rewards, knobs, statistics),
        moments_of(knobs.judges_every_step() ? rewards : score.images),
        centred);
  }
  if (knobs.combine == Combine::normalised) standardise(sums, knobs);
  const auto rewards = compared_rewards(candidates, value, knobs);
  Advantages out;
  if (soft.is_on()) {
    const auto rows =
        softened({sums, rewards}, soft, labels, path, rollout, knobs);
    out = clipped(rows.sums, numbered(labels), rows.rewards, clip);
  } else {
    out = clipped(sums, candidates.group, rewards, clip);
    if (path) give_to_rows(out, rollout);
  }
  leave_out(out, trained);
  return out;
}

}  // namespace rsm
