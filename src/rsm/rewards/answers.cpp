#include "rsm/rewards/answers.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr size_t kQuoted = 200;      // bytes of an answer in an error
constexpr size_t kComplaint = 4000;  // bytes of a judge's own error

/** A list of range.count finite numbers as [count] float32. */
torch::Tensor read_numbers(const std::string& who, const std::string& name,
                           const json& list, const PictureRange& range,
                           const Prompts& prompts) {
  RSM_CHECK(list.is_array(), "[", who, "] \"", quoted(name), "\" is ",
            quoted(list.dump()), "; a list of ", range.count,
            " numbers is needed; ", kMendReward);
  const int64_t arrived = std::ssize(list);
  const int64_t missing = range.first + arrived;  // the first, if any is
  RSM_CHECK(arrived == range.count, "[", who, "] ", arrived,
            " numbers arrived in \"", quoted(name), "\" for ", range.text(),
            arrived < range.count ? cat(", none from image ", missing, " (\"",
                                        quoted(prompts[missing].text), "\") on")
                                  : "",
            "; one for each of the ", range.count, " is needed; ", kMendReward);
  const torch::Tensor numbers = torch::empty({range.count}, torch::kFloat32);
  float* out = numbers.data_ptr<float>();
  for (int64_t i = 0; i < range.count; ++i) {
    const json& number = list[static_cast<size_t>(i)];
    out[i] = number.is_number() ? number.get<float>() : NAN;
    RSM_CHECK(std::isfinite(out[i]), "[", who, "] \"", quoted(name),
              "\" of image ", range.first + i, " (\"",
              quoted(prompts[range.first + i].text), "\") is ",
              quoted(number.dump()), "; a finite number of float32 is needed; ",
              kMendReward);
  }
  return numbers;
}

std::string names_of(const RewardScores& scores) {
  std::vector<std::string> names;
  for (const auto& [name, values] : scores.metrics) {
    names.push_back(name);
  }
  return names.empty() ? "none" : join(names);
}

/** What the log says of a category beside its metrics. */
bool is_taken(const std::string& name) {
  static const std::set<std::string> taken = {
      "reward",  "images",        "errors",
      "freedom", "change_errors", "change_freedom"};
  return taken.contains(name);
}

}  // namespace

std::string quoted(const std::string& text) { return printable(text, kQuoted); }

std::string PictureRange::text() const {
  return count == 1 ? cat("image ", first)
                    : cat("images ", first, " to ", first + count - 1);
}

std::vector<PictureRange> picture_ranges(int64_t count, int64_t batch) {
  RSM_CHECK(batch >= 1, "[picture_ranges] batch is ", batch,
            "; 1 or more is needed");
  std::vector<PictureRange> ranges;
  for (int64_t first = 0; first < count; first += batch) {
    ranges.push_back({first, std::min(batch, count - first)});
  }
  return ranges;
}

std::vector<PictureRange> group_ranges(const std::vector<int64_t>& group,
                                       int64_t batch) {
  RSM_CHECK(batch >= 1, "[group_ranges] batch is ", batch,
            "; 1 or more is needed");
  std::vector<PictureRange> ranges;
  const int64_t count = std::ssize(group);
  for (int64_t first = 0, end = 0; first < count; first = end) {
    for (end = first; end < count && group[end] == group[first];) ++end;
    const int64_t size = end - first;
    if (!ranges.empty() && ranges.back().count + size <= batch) {
      ranges.back().count += size;
    } else {
      ranges.push_back({first, size});
    }
  }
  return ranges;
}

json parse_answer(const std::string& who, const std::string& text) {
  try {
    return parse_json("its answer", quote_python_numbers(text));
  } catch (const Error& error) {
    throw Error(cat("[", who, "] answered \"", quoted(text),
                    "\", which is no JSON (", error.what(),
                    "); one answer and nothing else is needed; ", kMendReward));
  }
}

json error_in(const json& answer) {
  return answer.is_object() ? answer.value("error", json()) : json();
}

RewardScores read_scores(const std::string& who, const json& answer,
                         const PictureRange& range, const Prompts& prompts) {
  const json error = error_in(answer);
  if (!error.is_null()) {
    throw Error(cat(
        "[", who, "] says of ", range.text(), ": ",
        printable(error.is_string() ? error.get<std::string>() : error.dump(),
                  kComplaint),
        "; ", kMendReward));
  }
  RSM_CHECK(answer.is_object() && answer.contains("scores"), "[", who,
            "] answered ", quoted(answer.dump()), " for ", range.text(),
            "; {\"scores\": [...]} is needed; ", kMendReward);
  RewardScores scores;
  scores.value = read_numbers(who, "scores", answer["scores"], range, prompts);
  const json metrics = answer.value("metrics", json());
  RSM_CHECK(metrics.is_object() || metrics.is_null(), "[", who,
            "] \"metrics\" is ", quoted(metrics.dump()),
            "; {\"name\": [...], ...} is needed, or nothing; ", kMendReward);
  for (const auto& [name, list] : metrics.items()) {
    RSM_CHECK(!name.empty() && !is_taken(name), "[", who, "] names a metric \"",
              name, "\"; any name but this is allowed; ", kMendReward);
    scores.metrics[name] = read_numbers(who, name, list, range, prompts);
  }
  return scores;
}

void add_mended(RewardScores& to, const std::map<std::string, int64_t>& more) {
  for (const auto& [what, count] : more) {
    to.mended[what] += count;
  }
}

RewardScores join_scores(const std::string& who,
                         const std::vector<RewardScores>& ranges) {
  if (ranges.empty()) {
    return {torch::empty({0}, torch::kFloat32), {}};
  }
  std::vector<torch::Tensor> values;
  std::map<std::string, std::vector<torch::Tensor>> metrics;
  for (const RewardScores& range : ranges) {
    RSM_CHECK(names_of(range) == names_of(ranges.front()), "[", who,
              "] gave the metrics ", quoted(names_of(ranges.front())),
              " for some images and ", quoted(names_of(range)),
              " for others; give every image the same; ", kMendReward);
    values.push_back(range.value);
    for (const auto& [name, numbers] : range.metrics) {
      metrics[name].push_back(numbers);
    }
  }
  RewardScores all;
  all.value = at::cat(values);
  all.parts = ranges.front().parts;
  for (size_t p = 0; p < all.parts.size(); ++p) {
    std::vector<torch::Tensor> terms;
    for (const RewardScores& range : ranges) {
      terms.push_back(range.parts.at(p).value);
    }
    all.parts[p].value = at::cat(terms);
  }
  for (const auto& [name, numbers] : metrics) {
    all.metrics[name] = at::cat(numbers);
  }
  std::vector<torch::Tensor> features;
  for (const RewardScores& range : ranges) {
    add_mended(all, range.mended);
    if (range.features.defined()) features.push_back(range.features);
  }
  if (!features.empty()) all.features = at::cat(features);
  return all;
}

RewardScores put_in_order(RewardScores scores,
                          const std::vector<int64_t>& place) {
  const auto index = torch::tensor(place, torch::kLong).argsort();
  const auto put = [&](torch::Tensor& numbers) {
    numbers = numbers.index_select(0, index);
  };
  put(scores.value);
  for (auto& [name, numbers] : scores.metrics) put(numbers);
  for (auto& part : scores.parts) put(part.value);
  if (scores.features.defined()) put(scores.features);
  return scores;
}

}  // namespace rsm
