#include "rsm/data/picture_scores.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr int64_t kVersion = 1;  ///< of the file

template <typename T>
std::vector<T> chosen(const std::vector<T>& all,
                      const std::vector<size_t>& index) {
  std::vector<T> out;
  for (const size_t i : index) out.push_back(all[i]);
  return out;
}

}  // namespace

PictureScores pictures_of(const Prompts& prompts,
                          const std::vector<int64_t>& members, uint64_t seed) {
  PictureScores out;
  out.seed = seed;
  out.members = members;
  std::string captions;
  for (const auto& prompt : prompts) {
    out.prompts.push_back(prompt.id);
    out.categories.push_back(prompt.category);
    captions += prompt.text + '\n';
  }
  out.captions = checksum(captions);
  return out;
}

PictureScores of_category(const PictureScores& scores,
                          const std::string& category) {
  std::vector<size_t> index;
  for (size_t i = 0; i < scores.categories.size(); ++i) {
    if (scores.categories[i] == category) index.push_back(i);
  }
  PictureScores out = scores;
  out.prompts = chosen(scores.prompts, index);
  out.members = chosen(scores.members, index);
  out.categories = chosen(scores.categories, index);
  for (auto& [name, values] : out.metrics) values = chosen(values, index);
  return out;
}

MetricNumbers means_of(const PictureScores& scores) {
  MetricNumbers out;
  for (const auto& [name, values] : scores.metrics) {
    const double mean = mean_of(values);
    if (std::isfinite(mean)) out[name] = mean;
  }
  return out;
}

MetricErrors errors_of(const PictureScores& scores) {
  MetricErrors out;
  for (const auto& [name, values] : scores.metrics) {
    const auto error = error_of_mean(values, scores.prompts, scores.categories);
    if (error.is_known()) out[name] = error;
  }
  return out;
}

PictureScores difference(const PictureScores& before,
                         const PictureScores& after) {
  const auto problem = pairing_problem(before, after);
  RSM_CHECK(problem.empty(), "[scores] two evaluations differ in ", problem,
            "; only scores of the same pictures can be paired");
  PictureScores out = after;
  out.metrics.clear();
  for (const auto& [name, values] : after.metrics) {
    const auto found = before.metrics.find(name);
    if (found == before.metrics.end()) continue;
    auto& change = out.metrics[name];
    for (size_t i = 0; i < values.size(); ++i) {
      change.push_back(values[i] - found->second[i]);
    }
  }
  return out;
}

std::string pairing_problem(const PictureScores& a, const PictureScores& b) {
  if (a.captions != b.captions || a.categories != b.categories ||
      a.prompts != b.prompts) {
    return "their prompts";
  }
  if (a.members != b.members) return "how many pictures a prompt has";
  return a.seed != b.seed ? "the seed of their noise" : "";
}

void write_picture_scores(const std::string& path,
                          const PictureScores& scores) {
  // On one line a list would be no shorter with its numbers indented.
  write_file_atomic(path, json_line({{"version", kVersion},
                                     {"epoch", scores.epoch},
                                     {"seed", scores.seed},
                                     {"captions", scores.captions},
                                     {"prompts", scores.prompts},
                                     {"members", scores.members},
                                     {"categories", scores.categories},
                                     {"metrics", scores.metrics}}) +
                              "\n");
}

PictureScores read_picture_scores(const std::string& path) {
  const json said = read_json(path);
  const JsonFields file(said, cat("[scores] ", path,
                                  " (evaluations write it; remove it where it "
                                  "was edited)"));
  file.integer("version", kVersion, kVersion);
  PictureScores out;
  out.epoch = file.integer("epoch");
  const json& seed = file.value("seed");
  file.check("seed", seed.is_number_unsigned(), "an integer of 64 bits");
  out.seed = seed.get<uint64_t>();
  out.captions = file.text("captions");
  out.prompts = file.integers("prompts");
  out.members = file.integers("members");
  out.categories = file.texts("categories");
  const auto metrics = file.object("metrics");
  for (const auto& name : metrics.keys()) {
    out.metrics[name] = metrics.numbers(name);
  }
  const auto check_size = [&](const JsonFields& fields, const std::string& key,
                              size_t size) {
    fields.check(key, size == out.prompts.size(),
                 cat(out.prompts.size(), " entries, one a picture,"));
  };
  check_size(file, "members", out.members.size());
  check_size(file, "categories", out.categories.size());
  for (const auto& [name, values] : out.metrics) {
    check_size(metrics, name, values.size());
  }
  return out;
}

}  // namespace rsm
