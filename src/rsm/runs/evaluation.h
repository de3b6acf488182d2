#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/base/conditioner.h"
#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/prompt.h"
#include "rsm/base/reward.h"
#include "rsm/data/picture_scores.h"
#include "rsm/data/watch_ratio.h"
#include "rsm/judges/picture_metrics.h"
#include "rsm/paths/path.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** Pixels of a side. */
constexpr int64_t kThumbnail = 128;
/** Pictures beside each other where they are shown. */
constexpr int64_t kShownColumns = 8;

/** What is looked at, the same each time: a fixed list of prompts and noise. */
struct EvaluationSet {
  Prompts prompts;               ///< one for each picture
  std::vector<int64_t> members;  ///< which sample of its prompt each is
  /** Pictures that people are shown, rising within a category. */
  std::vector<int64_t> shown;
  uint64_t seed = 0;
  std::vector<int64_t> latent_shape;

  int64_t size() const { return static_cast<int64_t>(prompts.size()); }
  /** Noise of some pictures: the initial one, or where a solver draws more that
   * of its step i, number i + 1. */
  torch::Tensor noise(const std::vector<int64_t>& pictures,
                      int64_t number = 0) const;
};

/** How pictures come about, the network apart. Refers to what it is made of. */
struct Drawing {
  const Conditioner& conditioner;
  const Path& path;
  const Decoder& decoder;
  const std::vector<double>& times;  ///< of the ODE's steps
  Solving solving = {};              ///< of pictures; drift is along the ODE
};

/** `images` pictures, equally many of each category, over a category's prompts
 * in turn. A prompt's own picture does not depend on `images`. */
EvaluationSet make_evaluation_set(const Prompts& prompts, int64_t images,
                                  uint64_t seed);

/** The pictures' scores, or those of a category, in a few numbers. */
struct ScoreSummary {
  int64_t images = 0;
  MetricNumbers means;
  MetricErrors errors;  ///< of the means, see error_of_mean
  /** Paired ones of the changes since another evaluation of these pictures;
   * empty where there is none. */
  MetricErrors change_errors;
};

struct Evaluation {
  /** Over categories where all are equally many. Of the reward's metrics and
   * "diversity", where a prompt has several pictures and no metric is called
   * so. */
  ScoreSummary all;
  std::map<std::string, ScoreSummary> by_category;
  PictureScores pictures;
  /** [shown,3,h,w] in [0,1], reduced to kThumbnail pixels at most. */
  torch::Tensor thumbnails;
  std::optional<double> kl;  ///< drift from the reference, where measured
  /** Means over the pictures, "diversity" only where a prompt has several;
   * "outputs" where drift is measured; what was measured beside them. */
  WatchNumbers watch = {};
  std::vector<std::string> warnings = {};
};

/** How much pictures of one prompt differ: the root of the mean squared
 * difference of two of them [3,H,W], over all pairs of the prompt, at the place
 * of its first picture; NaN at the others and where a prompt has one alone. A
 * model that paints one picture for a prompt, whatever the noise, has 0. */
std::vector<double> picture_diversity(const torch::Tensor& images,
                                      const Prompts& prompts);

/** Samples and scores, some prompts with all their pictures at a
 * time: what is held at once does not grow with the set. What `beside` measures
 * stands among the metrics, and its means among `watch`. Where there are ranks,
 * each draws and judges its share, by a network that they do not share, and all
 * have the whole; a stop of one is a stop of all. */
Evaluation evaluate(Denoiser& denoiser, const Drawing& drawing,
                    const EvaluationSet& set, const Reward& reward,
                    const std::function<void(int64_t)>& on_images = {},
                    const PictureMetrics* beside = nullptr,
                    Communicator* ranks = nullptr);

/** How far a denoiser is from the reference at the states of its ODE path. */
struct PathDrift {
  double kl = 0;
  /** log of the root mean square of its outputs over the reference's. */
  double log_output_ratio = 0;
};

/** Drift from the reference along the denoiser's own ODE path: kl is the mean
 * over the first picture of each prompt and over steps 0..N-2 of w^2 <(y -
 * y_ref)^2> / 2, the exact KL of one stochastic step of the family's usual
 * noise per latent element, whatever the method samples with; only over the
 * `noisiest` first of these steps where that is not 0. Both should compute in
 * one precision, or the difference of precisions shows as drift. */
PathDrift path_drift(Denoiser& denoiser, Denoiser& reference,
                     const Drawing& drawing, const EvaluationSet& set,
                     int64_t noisiest = 0);
/** Its kl. */
double drift(Denoiser& denoiser, Denoiser& reference, const Drawing& drawing,
             const EvaluationSet& set, int64_t noisiest = 0);

/** Pairs it with an earlier evaluation, picture by picture: fills
 * `change_errors`. Throws rsm::Error where that is not of the same pictures. */
void pair_with(const PictureScores& before, Evaluation& evaluation);

/** {images, reward, metrics, errors, freedom, change_errors, change_freedom,
 * by_category, kl, watch}, for the run log. */
nlohmann::json to_json(const Evaluation& evaluation);

}  // namespace rsm
