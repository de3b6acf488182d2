#include "rsm/data/picture_scores.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr int64_t kVersion = 1;  ///< of the file

/** A file's values, with its name in errors. */
class ScoresFile {
 public:
  explicit ScoresFile(const std::string& path)
      : path_(path), root_(read_json(path)) {
    check(root_.is_object() && root_.value("version", json()) == kVersion,
          "version", cat(kVersion));
  }

  int64_t integer(const char* key) const { return integer_of(at(key), key); }

  uint64_t seed() const {
    const auto& value = at("seed");
    check(value.is_number_unsigned(), "seed", "a whole number from 0 on");
    return value.get<uint64_t>();
  }

  std::string text(const char* key) const { return text_of(at(key), key); }

  std::vector<int64_t> integers(const char* key) const {
    return list(at(key), key, &ScoresFile::integer_of);
  }
  std::vector<std::string> texts(const char* key) const {
    return list(at(key), key, &ScoresFile::text_of);
  }

  std::map<std::string, std::vector<double>> metrics(size_t pictures) const {
    const auto& all = at("metrics");
    check(all.is_object(), "metrics", "an object of lists");
    std::map<std::string, std::vector<double>> out;
    for (const auto& [name, values] : all.items()) {
      const auto key = "metrics." + name;
      out[name] = list(values, key, &ScoresFile::number_of);
      check_size(out[name].size(), key, pictures);
    }
    return out;
  }

  void check_size(size_t size, const std::string& key, size_t pictures) const {
    check(size == pictures, key, cat(pictures, " entries, one a picture"));
  }

 private:
  void check(bool ok, const std::string& key, const std::string& want) const {
    RSM_CHECK(ok, "[scores] ", path_, ": \"", key,
              "\" is missing or wrong; needed: ", want,
              "; evaluations write the file, remove it where it was edited");
  }

  const json& at(const char* key) const {
    const auto found = root_.find(key);
    check(found != root_.end(), key, "a value");
    return *found;
  }

  int64_t integer_of(const json& value, const std::string& key) const {
    check(value.is_number_integer(), key, "whole numbers");
    return value.get<int64_t>();
  }
  std::string text_of(const json& value, const std::string& key) const {
    check(value.is_string(), key, "text");
    return value.get<std::string>();
  }
  double number_of(const json& value, const std::string& key) const {
    check(value.is_number() || value.is_null(), key, "numbers or null");
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN()
                           : value.get<double>();
  }

  template <typename T>
  std::vector<T> list(const json& values, const std::string& key,
                      T (ScoresFile::*read)(const json&, const std::string&)
                          const) const {
    check(values.is_array(), key, "a list");
    std::vector<T> out;
    for (const auto& value : values) out.push_back((this->*read)(value, key));
    return out;
  }

  std::string path_;
  json root_;
};

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
  write_file_atomic(
      path, json({{"version", kVersion},
                  {"epoch", scores.epoch},
                  {"seed", scores.seed},
                  {"captions", scores.captions},
                  {"prompts", scores.prompts},
                  {"members", scores.members},
                  {"categories", scores.categories},
                  {"metrics", scores.metrics}})
                    .dump(-1, ' ', false, json::error_handler_t::replace) +
                "\n");
}

PictureScores read_picture_scores(const std::string& path) {
  const ScoresFile file(path);
  PictureScores out;
  out.epoch = file.integer("epoch");
  out.seed = file.seed();
  out.captions = file.text("captions");
  out.prompts = file.integers("prompts");
  out.members = file.integers("members");
  out.categories = file.texts("categories");
  file.check_size(out.members.size(), "members", out.prompts.size());
  file.check_size(out.categories.size(), "categories", out.prompts.size());
  out.metrics = file.metrics(out.prompts.size());
  return out;
}

}  // namespace rsm
