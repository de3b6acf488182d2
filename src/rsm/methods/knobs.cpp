#include "rsm/methods/knobs.h"

#include <type_traits>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

class Lister {
 public:
  template <typename Enum>
  void operator()(const char* key, Enum&, const char* meaning) {
    knobs.push_back({place_ + key, words<Enum>(), {}, meaning});
  }
  void operator()(const char* key, bool&, const char* meaning) {
    knobs.push_back({place_ + key, {"false", "true"}, {}, meaning});
  }
  void operator()(const char* key, std::string&,
                  const std::vector<std::string>& words, const char* meaning) {
    knobs.push_back({place_ + key, words, {}, meaning});
  }
  template <typename T>
  void operator()(const char* key, T&, Range range, const char* meaning) {
    knobs.push_back({place_ + key, {}, range, meaning});
    knobs.back().is_list = !std::is_arithmetic_v<T>;
    knobs.back().is_real = std::is_same_v<T, double>;
  }
  template <typename Knobs>
  void group(const char* key, Knobs& of) {
    const std::string place = std::exchange(place_, place_ + key + ".");
    visit(*this, of);
    place_ = place;
  }
  bool when(bool, const char*) { return true; }

  std::vector<KnobInfo> knobs;

 private:
  std::string place_;
};

}  // namespace

std::string Range::text() const {
  constexpr double kTold = 1e5;  // larger bounds only keep out mistakes
  const auto low = without_min ? cat("above ", min) : cat(min);
  if (max < kTold) return cat(low, without_min ? ", " : " ", "to ", max);
  return without_min ? low : low + " or more";
}

std::vector<KnobInfo> list_knobs() {
  Lister lister;
  Method any;
  visit(lister, any);
  return lister.knobs;
}

}  // namespace rsm
