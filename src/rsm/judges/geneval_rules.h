#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/** The rules of GenEval (Ghosh et al., 2023, arXiv 2310.11513; its evaluation
 * script), and the graded score that Flow-GRPO (arXiv 2505.05470; its reward
 * server) trains on: from what a detector saw to a verdict. */
namespace rsm::geneval {

/** What objects may be asked to be, in the order in which ties are decided. */
inline constexpr std::array<const char*, 10> kColours = {
    "red",    "orange", "yellow", "green", "blue",
    "purple", "pink",   "brown",  "black", "white"};
inline constexpr int kNoColour = -1;

enum class Relation { left_of, right_of, above, below };
inline constexpr std::array<const char*, 4> kRelations = {"left of", "right of",
                                                          "above", "below"};

/** The six tasks. */
inline constexpr const char* kCounting = "counting";
inline constexpr std::array<const char*, 6> kTags = {
    "single_object", "two_object", kCounting,
    "colors",        "position",   "color_attr"};

/** Published ones by default. */
struct Thresholds {
  float score = 0.3F;           ///< detections of more count
  float counting_score = 0.9F;  ///< the same where objects are counted
  int64_t most = 16;            ///< of a class; the surest are kept
  double overlap = 1;           ///< intersection over union; 1: no suppression
  float margin = 0.1F;          ///< of both sizes that a place has to differ by

  bool operator==(const Thresholds&) const = default;
};

/** In pixels from the picture's left upper corner. */
struct Box {
  float left = 0, top = 0, right = 0, bottom = 0;
};

struct Detection {
  int64_t kind = 0;  ///< its class: a line of the list of classes, from 0
  float score = 0;
  Box box;
  int colour = kNoColour;  ///< of kColours, where that was asked for
  int64_t place = 0;       ///< among all that the detector saw
};

/** What a prompt asks to be seen, or not to be. */
struct Clause {
  int64_t kind = 0;
  std::string name;   ///< of the class
  int64_t count = 1;  ///< >= 1
  int colour = kNoColour;
  std::optional<Relation> relation = {};  ///< of every object to every target
  size_t target = 0;                      ///< an earlier clause
};

struct Task {
  std::string tag;  ///< of kTags
  std::vector<Clause> include, exclude;
};

/** By class, the surest first; of equal scores that seen last. */
using Found = std::map<int64_t, std::vector<Detection>>;

/** Of all that was seen, what counts for a task. */
Found kept(std::vector<Detection> seen, const Task& task,
           const Thresholds& thresholds);

/** The objects whose colour judge() will look at, within `found`. */
std::vector<Detection*> to_colour(Found& found, const Task& task);

/** How one box lies to another; none where they are about at one place, one or
 * two otherwise. `margin` of both sizes is taken off the distance first. */
std::vector<Relation> relations(const Box& box, const Box& target,
                                float margin);

struct Verdict {
  /** GenEval's: at least as many objects as asked for, the surest of them
   * coloured and placed so, and fewer than excluded. */
  bool correct = false;
  /** Flow-GRPO's: exactly as many, all coloured and placed so. */
  bool strict = false;
  /** Flow-GRPO's mean of marks, at most 1, negative where there are more than
   * twice as many as asked for: 1 - |asked - found| / asked of a clause's count
   * and, where that is right, of its colour; 0 for both otherwise. A place is 1
   * where it is right and counts as two marks, 0 and 1, where it is wrong. */
  double graded = 0;
  std::string reason;         ///< what speaks against `correct`, line by line
  std::string strict_reason;  ///< the same of `strict`
};

Verdict judge(const Found& found, const Task& task, float margin);

}  // namespace rsm::geneval
