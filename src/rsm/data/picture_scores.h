#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"
#include "rsm/data/certainty.h"

namespace rsm {

/** Numbers by metric; the reward's own value is "reward". */
using MetricNumbers = std::map<std::string, double>;
using MetricErrors = std::map<std::string, MeanError>;

/** The scores of an evaluation picture by picture, so that an evaluation of the
 * same pictures can be paired with it. Lists have one entry a picture. */
struct PictureScores {
  int64_t epoch = 0;
  uint64_t seed = 0;             ///< of the noise
  std::string captions;          ///< checksum of them, in order
  std::vector<int64_t> prompts;  ///< ids
  std::vector<int64_t> members;  ///< which picture of its prompt each is
  std::vector<std::string> categories;
  /** NaN where a picture has no such number. */
  std::map<std::string, std::vector<double>> metrics;

  int64_t size() const { return std::ssize(prompts); }
};

/** Without metrics. */
PictureScores pictures_of(const Prompts& prompts,
                          const std::vector<int64_t>& members, uint64_t seed);

/** The pictures of a category. */
PictureScores of_category(const PictureScores& scores,
                          const std::string& category);

/** Every metric's mean (mean_of, data/certainty.h), and the error of
 * it with pictures of one prompt taken together (error_of_mean). What is not
 * known is left out. */
MetricNumbers means_of(const PictureScores& scores);
MetricErrors errors_of(const PictureScores& scores);

/** after - before, picture by picture, of the metrics that both have: its
 * errors are the paired ones of the change. Throws rsm::Error where
 * pairing_problem says so. */
PictureScores difference(const PictureScores& before,
                         const PictureScores& after);

/** Why two evaluations are not of the same prompts with the same noise; ""
 * where they are. */
std::string pairing_problem(const PictureScores& a, const PictureScores& b);

/** As JSON, atomically. */
void write_picture_scores(const std::string& path, const PictureScores& scores);

/** Throws rsm::Error naming the file and what is wrong where it is missing, no
 * JSON, of another version, or its lists are not one number a picture. */
PictureScores read_picture_scores(const std::string& path);

}  // namespace rsm
