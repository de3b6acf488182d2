#include "rsm/runs/evaluation_parts.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/rewards/answers.h"
#include "rsm/rewards/score_bytes.h"
#include "rsm/rewards/weighted_reward.h"

namespace rsm {
namespace {

using nlohmann::json;

torch::Tensor thumbnail(const torch::Tensor& picture) {
  const int64_t height = picture.size(1), width = picture.size(2);
  const int64_t side = std::max(height, width);
  const int64_t most = std::min(side, kThumbnail);
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, length * most / side);
  };
  return at::adaptive_avg_pool2d(picture, {scaled(height), scaled(width)});
}

void append(const std::vector<double>& more, std::vector<double>& all) {
  all.insert(all.end(), more.begin(), more.end());
}

json packed(const PartScores& part) {
  json thumbnails = json::array();
  for (const auto& [place, picture] : part.thumbnails) {
    thumbnails.push_back({place, rsm::packed(picture)});
  }
  return {
      {"pictures", part.pictures},     {"scores", rsm::packed(part.scores)},
      {"diversity", part.diversity},   {"edges", part.watch.edges},
      {"colours", part.watch.colours}, {"saturation", part.watch.saturation},
      {"measured", part.measured},     {"thumbnails", thumbnails}};
}

PartScores unpacked(const json& part) {
  PartScores out;
  const auto take = [&](const char* key, auto& to) { part.at(key).get_to(to); };
  take("pictures", out.pictures);
  out.scores = unpacked_scores(part.at("scores"));
  take("diversity", out.diversity);
  take("edges", out.watch.edges);
  take("colours", out.watch.colours);
  take("saturation", out.watch.saturation);
  take("measured", out.measured);
  for (const auto& one : part.at("thumbnails")) {
    out.thumbnails[one.at(0).get<int64_t>()] = unpacked_tensor(one.at(1));
  }
  return out;
}

/** Parts' numbers in the order of the parts, and of the pictures. */
class Joined {
 public:
  explicit Joined(const std::vector<PartScores>& parts) {
    for (const auto& part : parts) {
      scores_.push_back(part.scores);
      order_.insert(order_.end(), part.pictures.begin(), part.pictures.end());
      append(part.diversity, diversity_);
      append(part.watch.edges, watch_.edges);
      append(part.watch.colours, watch_.colours);
      append(part.watch.saturation, watch_.saturation);
      for (const auto& [name, values] : part.measured) {
        append(values, measured_[name]);
      }
    }
  }

  Evaluation evaluation(const EvaluationSet& set,
                        const std::string& reward) const {
    const auto scores = join_scores(cat("reward ", reward), scores_);
    Evaluation out;
    for (const auto& text : suspicious(scores)) {
      out.warnings.push_back("in the evaluation, " + text);
    }
    out.pictures = pictures_of(set.prompts, set.members, set.seed);
    auto& metrics = out.pictures.metrics;
    metrics["reward"] = in_order(doubles_of(scores.value));
    for (const auto& [name, values] : scores.metrics) {
      metrics.emplace(name, in_order(doubles_of(values)));
    }
    metrics.emplace("diversity", in_order(diversity_));
    out.watch = {{"edges", mean_of(watch_.edges)},
                 {"colours", mean_of(watch_.colours)},
                 {"saturation", mean_of(watch_.saturation)}};
    const double diversity = mean_of(diversity_);
    if (!std::isnan(diversity)) out.watch["diversity"] = diversity;
    for (const auto& [name, values] : measured_) {
      metrics.emplace(name, in_order(values));
      const double mean = mean_of(values);
      if (!std::isnan(mean)) out.watch[name] = mean;
    }
    return out;
  }

 private:
  std::vector<double> in_order(const std::vector<double>& values) const {
    std::vector<double> out(values.size());
    for (size_t k = 0; k < values.size(); ++k) {
      out[order_[k]] = values[k];
    }
    return out;
  }

  std::vector<RewardScores> scores_;
  std::vector<int64_t> order_;
  std::vector<double> diversity_;
  PictureWatch watch_;
  std::map<std::string, std::vector<double>> measured_;
};

}  // namespace

PartScores part_scores(const EvaluationSet& set,
                       const std::vector<int64_t>& pictures,
                       const torch::Tensor& images, const Prompts& prompts,
                       const Reward& reward, const PictureMetrics* beside) {
  PartScores out;
  out.pictures = pictures;
  out.scores = reward.score(images, prompts);
  out.diversity = picture_diversity(images, prompts);
  out.watch = watch_pictures(images);
  if (beside != nullptr) out.measured = beside->of(images, prompts);
  for (size_t k = 0; k < pictures.size(); ++k) {
    const auto shown =
        std::find(set.shown.begin(), set.shown.end(), pictures[k]);
    if (shown == set.shown.end()) continue;
    out.thumbnails[shown - set.shown.begin()] =
        thumbnail(images[static_cast<int64_t>(k)]);
  }
  return out;
}

std::vector<PartScores> gathered(Communicator& ranks,
                                 const std::vector<PartScores>& own) {
  auto mine = json::array();
  for (const auto& part : own) mine.push_back(packed(part));
  std::vector<PartScores> out;
  for (const auto& bytes : ranks.gather(to_bytes(mine))) {
    for (const auto& part : from_bytes(bytes)) out.push_back(unpacked(part));
  }
  return out;
}

Evaluation joined(const EvaluationSet& set,
                  const std::vector<PartScores>& parts,
                  const std::string& reward) {
  auto out = Joined(parts).evaluation(set, reward);
  std::vector<torch::Tensor> thumbnails(set.shown.size());
  for (const auto& part : parts) {
    for (const auto& [place, picture] : part.thumbnails) {
      thumbnails[place] = picture;
    }
  }
  out.thumbnails = at::stack(thumbnails);
  return out;
}

}  // namespace rsm
