#include "rsm/judges/geneval_rules.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "rsm/base/error.h"

namespace rsm::geneval {
namespace {

using Objects = std::vector<Detection>;

/** Relations need more than this share of the distance of two centres. */
constexpr float kLeastShare = 0.5F;
/** Places that differ by less than this are the same: pixels. */
constexpr float kNoDistance = 1e-3F;

/** Counts pixels, of which the last is in: hence the 1. */
double area(float left, float top, float right, float bottom) {
  return std::max(double{right} - left + 1, 0.0) *
         std::max(double{bottom} - top + 1, 0.0);
}

double pixel_overlap(const Box& a, const Box& b) {
  const double shared =
      area(std::max(a.left, b.left), std::max(a.top, b.top),
           std::min(a.right, b.right), std::min(a.bottom, b.bottom));
  const double all = area(a.left, a.top, a.right, a.bottom) +
                     area(b.left, b.top, b.right, b.bottom) - shared;
  return all > 0 ? shared / all : 0;
}

/** Without those that overlap a surer one. */
Objects apart(const Objects& objects, double most) {
  Objects out;
  for (const auto& object : objects) {
    const bool free = std::all_of(out.begin(), out.end(), [&](const auto& o) {
      return pixel_overlap(o.box, object.box) < most;
    });
    if (free) out.push_back(object);
  }
  return out;
}

Objects of_kind(const Found& found, int64_t kind) {
  const auto at = found.find(kind);
  return at == found.end() ? Objects() : at->second;
}

double mark(int64_t asked, int64_t found) {
  return 1 - static_cast<double>(std::abs(asked - found)) /
                 static_cast<double>(asked);
}

int64_t count_of(const Objects& objects, int colour) {
  return std::count_if(objects.begin(), objects.end(),
                       [&](const auto& o) { return o.colour == colour; });
}

std::string colours_of(const Objects& objects) {
  std::vector<std::string> words;
  for (int colour = 0; colour < static_cast<int>(kColours.size()); ++colour) {
    const int64_t count = count_of(objects, colour);
    if (count > 0) words.push_back(cat(count, " ", kColours[colour]));
  }
  return words.empty() ? "none of a known colour" : join(words);
}

/** Where one of the objects lies otherwise to one of the targets: how it does.
 */
std::optional<std::string> misplaced(const Objects& objects,
                                     const Objects& targets, Relation asked,
                                     float margin) {
  for (const auto& object : objects) {
    for (const auto& target : targets) {
      const auto found = relations(object.box, target.box, margin);
      if (std::count(found.begin(), found.end(), asked) > 0) continue;
      std::vector<std::string> words;
      for (const auto relation : found) {
        words.emplace_back(kRelations[static_cast<size_t>(relation)]);
      }
      return words.empty() ? "at its place" : join(words, " and ");
    }
  }
  return std::nullopt;
}

/** One reading of a task, clause after clause. */
class Reading {
 public:
  Reading(const Found& found, float margin, bool exact)
      : found_(found), margin_(margin), exact_(exact) {}

  void include(const Clause& clause) {
    Objects objects = of_kind(found_, clause.kind);
    const auto asked = static_cast<size_t>(clause.count);
    if (!exact_ && objects.size() > asked) objects.resize(asked);
    marks_.push_back(mark(clause.count, std::ssize(objects)));
    bool matched = objects.size() == asked;
    if (matched) {
      matched = coloured(clause, objects) && placed(clause, objects);
    } else {
      against(cat("expected ", exact_ ? "" : "at least ", clause.count, " ",
                  clause.name, ", found ", objects.size()));
      if (clause.colour != kNoColour || clause.relation) marks_.push_back(0);
    }
    groups_.push_back(matched ? std::optional(std::move(objects))
                              : std::nullopt);
  }

  void exclude(const Clause& clause) {
    const int64_t count = std::ssize(of_kind(found_, clause.kind));
    if (count < clause.count) return;
    against(cat("expected fewer than ", clause.count, " ", clause.name,
                ", found ", count));
  }

  bool right() const { return reasons_.empty(); }
  std::string reason() const { return join(reasons_, "\n"); }
  double mean_mark() const {
    double sum = 0;
    for (const double one : marks_) sum += one;
    return marks_.empty() ? 0 : sum / static_cast<double>(marks_.size());
  }

 private:
  void against(std::string reason) { reasons_.push_back(std::move(reason)); }

  bool coloured(const Clause& clause, const Objects& objects) {
    if (clause.colour == kNoColour) return true;
    const int64_t count = count_of(objects, clause.colour);
    marks_.push_back(mark(clause.count, count));
    if (count == clause.count) return true;
    against(cat("expected ", clause.count, " ", kColours[clause.colour], " ",
                clause.name, ", found ", colours_of(objects)));
    return false;
  }

  bool placed(const Clause& clause, const Objects& objects) {
    if (!clause.relation) return true;
    const char* const asked = kRelations[static_cast<size_t>(*clause.relation)];
    const auto& targets = groups_.at(clause.target);
    if (!targets) {
      against(cat("nothing right for ", clause.name, " to be ", asked));
      marks_.push_back(0);
      return false;
    }
    const auto other = misplaced(objects, *targets, *clause.relation, margin_);
    if (other) {
      against(cat("expected ", clause.name, " ", asked, " its target, found ",
                  *other));
      marks_.push_back(0);
    }
    marks_.push_back(1);  // as published, whether it is right or not
    return !other;
  }

  const Found& found_;
  float margin_;
  bool exact_;
  std::vector<std::optional<Objects>> groups_ = {};
  std::vector<double> marks_ = {};
  std::vector<std::string> reasons_ = {};
};

}  // namespace

Found kept(std::vector<Detection> seen, const Task& task,
           const Thresholds& thresholds) {
  const float least =
      task.tag == kCounting ? thresholds.counting_score : thresholds.score;
  std::reverse(seen.begin(), seen.end());
  std::stable_sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) {
    return a.score > b.score;
  });
  Found found;
  for (const auto& object : seen) {
    if (!(object.score > least)) continue;
    auto& same = found[object.kind];
    if (std::ssize(same) < thresholds.most) same.push_back(object);
  }
  if (thresholds.overlap == 1) return found;
  for (auto& [kind, objects] : found) {
    objects = apart(objects, thresholds.overlap);
  }
  return found;
}

std::vector<Detection*> to_colour(Found& found, const Task& task) {
  std::map<int64_t, int64_t> counts;
  for (const auto& clause : task.include) {
    const auto at = found.find(clause.kind);
    if (clause.colour == kNoColour || at == found.end()) continue;
    if (std::ssize(at->second) < clause.count) continue;
    auto& count = counts[clause.kind];
    count = std::max(count, clause.count);
  }
  std::vector<Detection*> out;
  for (const auto& [kind, count] : counts) {
    for (int64_t i = 0; i < count; ++i) out.push_back(&found.at(kind)[i]);
  }
  return out;
}

std::vector<Relation> relations(const Box& box, const Box& target,
                                float margin) {
  const auto beyond = [&](float offset, float sizes) {
    const float left = std::max(std::abs(offset) - margin * sizes, 0.0F);
    return offset < 0 ? -left : left;
  };
  const float x = (box.left + box.right) / 2 - (target.left + target.right) / 2;
  const float y = (box.top + box.bottom) / 2 - (target.top + target.bottom) / 2;
  float dx = beyond(
      x, std::abs(box.right - box.left) + std::abs(target.right - target.left));
  float dy = beyond(
      y, std::abs(box.bottom - box.top) + std::abs(target.bottom - target.top));
  if (std::abs(dx) < kNoDistance && std::abs(dy) < kNoDistance) return {};
  const float distance = std::sqrt(x * x + y * y);
  dx /= distance;
  dy /= distance;
  std::vector<Relation> out;
  if (dx < -kLeastShare) out.push_back(Relation::left_of);
  if (dx > kLeastShare) out.push_back(Relation::right_of);
  if (dy < -kLeastShare) out.push_back(Relation::above);
  if (dy > kLeastShare) out.push_back(Relation::below);
  return out;
}

Verdict judge(const Found& found, const Task& task, float margin) {
  Reading loose(found, margin, /*exact=*/false);
  Reading exact(found, margin, /*exact=*/true);
  for (const auto& clause : task.include) {
    loose.include(clause);
    exact.include(clause);
  }
  for (const auto& clause : task.exclude) loose.exclude(clause);
  return {loose.right(), exact.right(), exact.mean_mark(), loose.reason(),
          exact.reason()};
}

}  // namespace rsm::geneval
