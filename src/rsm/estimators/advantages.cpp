#include "rsm/estimators/advantages.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "rsm/base/error.h"

namespace rsm {
namespace {

struct Moments {
  int64_t count = 0;
  double mean = 0;
  double deviation = 0;
};

/** Moments of each group; two passes, so equal rewards have none. */
std::vector<Moments> group_moments(const std::vector<double>& rewards,
                                   const std::vector<int64_t>& group,
                                   int64_t groups) {
  std::vector<Moments> moments(groups);
  for (size_t r = 0; r < rewards.size(); ++r) {
    moments[group[r]].count += 1;
    moments[group[r]].mean += rewards[r];
  }
  for (auto& m : moments) m.mean /= static_cast<double>(m.count);
  for (size_t r = 0; r < rewards.size(); ++r) {
    auto& m = moments[group[r]];
    m.deviation += (rewards[r] - m.mean) * (rewards[r] - m.mean);
  }
  for (auto& m : moments) {
    m.deviation = std::sqrt(m.deviation / static_cast<double>(m.count));
  }
  return moments;
}

/** Labels as 0-based numbers in order of first appearance. */
std::vector<int64_t> dense(const std::vector<int64_t>& labels) {
  std::map<int64_t, int64_t> index;
  std::vector<int64_t> out;
  for (const int64_t label : labels) {
    out.push_back(
        index.emplace(label, static_cast<int64_t>(index.size())).first->second);
  }
  return out;
}

std::vector<double> finite_rewards(const torch::Tensor& rewards) {
  const auto flat = rewards.detach().cpu().to(torch::kFloat64).contiguous();
  const double* data = flat.const_data_ptr<double>();
  std::vector<double> out(data, data + flat.numel());
  for (size_t r = 0; r < out.size(); ++r) {
    RSM_CHECK(std::isfinite(out[r]), "[advantages] the reward of row ", r,
              " of ", out.size(), " is ", out[r],
              "; rewards must be finite: look at the image it judged");
  }
  return out;
}

}  // namespace

Advantages group_advantages(const torch::Tensor& rewards,
                            const std::vector<int64_t>& group,
                            EstimatorKnobs::Spread spread, double clip) {
  const auto rows = static_cast<int64_t>(group.size());
  RSM_CHECK(rewards.dim() == 1 && rewards.size(0) == rows,
            "[advantages] rewards of shape ", rewards.sizes(), " for ", rows,
            " group labels; one reward a row is needed");
  RSM_CHECK(clip > 0, "[advantages] advantage clip ", clip,
            "; it must be above 0");
  const auto reward = finite_rewards(rewards);
  Advantages out;
  out.group = dense(group);
  const int64_t groups =
      rows == 0 ? 0 : *std::max_element(out.group.begin(), out.group.end()) + 1;
  const auto moments = group_moments(reward, out.group, groups);
  for (const auto& m : moments) {
    out.spread.push_back(m.deviation);
    out.dead_groups += m.deviation < kDeadSpread ? 1 : 0;
  }
  double all = 0;
  if (spread == EstimatorKnobs::Spread::global && rows > 0) {
    all = group_moments(reward, std::vector<int64_t>(rows, 0), 1)[0].deviation;
  }
  out.value = torch::zeros({rows}, torch::kFloat32);
  out.alive = torch::zeros({rows}, torch::kBool);
  float* value = out.value.mutable_data_ptr<float>();
  bool* alive = out.alive.mutable_data_ptr<bool>();
  for (int64_t r = 0; r < rows; ++r) {
    const auto& m = moments[out.group[r]];
    if (m.deviation < kDeadSpread) continue;
    double divisor = 1;
    if (spread == EstimatorKnobs::Spread::group) {
      divisor = m.deviation + kSpreadOffset;
    } else if (spread == EstimatorKnobs::Spread::global) {
      divisor = all + kSpreadOffset;
    }
    alive[r] = true;
    value[r] = static_cast<float>(
        std::clamp((reward[r] - m.mean) / divisor, -clip, clip));
  }
  return out;
}

std::vector<int64_t> row_groups(const Rollout& rollout,
                                const EstimatorKnobs& knobs) {
  // A path's rows share their image's advantage, so steps don't part them.
  const bool by_step = knobs.source == EstimatorKnobs::Source::branches;
  const auto steps = static_cast<int64_t>(rollout.transitions.size());
  std::vector<int64_t> labels;
  for (const int64_t state : rollout.row_state) {
    int64_t label = 0;
    switch (knobs.grouping) {
      case EstimatorKnobs::Grouping::prompt:
        label = rollout.state_prompt[state];
        break;
      case EstimatorKnobs::Grouping::seed:
        label = rollout.state_root[state];
        break;
      case EstimatorKnobs::Grouping::batch:
        labels.push_back(0);
        continue;
    }
    labels.push_back(by_step ? label * steps + rollout.state_step[state]
                             : label);
  }
  return labels;
}

Advantages row_advantages(const Rollout& rollout, const torch::Tensor& rewards,
                          const EstimatorKnobs& knobs, double clip) {
  RSM_CHECK(rewards.dim() == 1 && rewards.size(0) == rollout.images(),
            "[advantages] rewards of shape ", rewards.sizes(), " for ",
            rollout.images(), " images; one reward an image is needed");
  const auto labels = row_groups(rollout, knobs);
  const auto row_image = torch::tensor(rollout.row_image, torch::kInt64);
  if (knobs.source == EstimatorKnobs::Source::branches) {
    return group_advantages(rewards.cpu().index_select(0, row_image), labels,
                            knobs.spread, clip);
  }
  std::vector<int64_t> image_label(rollout.images(), -1);
  for (size_t r = 0; r < labels.size(); ++r) {
    image_label[rollout.row_image[r]] = labels[r];
  }
  for (size_t image = 0; image < image_label.size(); ++image) {
    RSM_CHECK(image_label[image] >= 0, "[advantages] image ", image,
              " has no rows; every image of a rollout needs at least one");
  }
  Advantages out = group_advantages(rewards, image_label, knobs.spread, clip);
  out.value = out.value.index_select(0, row_image);
  out.alive = out.alive.index_select(0, row_image);
  std::vector<int64_t> row_group;
  for (const int64_t image : rollout.row_image) {
    row_group.push_back(out.group[image]);
  }
  out.group = std::move(row_group);
  return out;
}

std::vector<StepSpread> spread_by_step(const Rollout& rollout,
                                       const Advantages& advantages) {
  std::vector<std::set<int64_t>> groups(rollout.transitions.size());
  for (size_t r = 0; r < rollout.row_state.size(); ++r) {
    const int64_t step = rollout.state_step[rollout.row_state[r]];
    groups[step].insert(advantages.group[r]);
  }
  std::vector<StepSpread> out(groups.size());
  for (size_t step = 0; step < groups.size(); ++step) {
    if (groups[step].empty()) continue;
    const auto count = static_cast<double>(groups[step].size());
    for (const int64_t g : groups[step]) {
      out[step].spread += advantages.spread[g] / count;
      out[step].dead_share += (advantages.spread[g] < kDeadSpread) / count;
    }
    out[step].groups = static_cast<int64_t>(groups[step].size());
  }
  return out;
}

}  // namespace rsm
