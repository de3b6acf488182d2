#include "rsm/rewards/patience.h"

#include <algorithm>
#include <thread>

namespace rsm {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr double kLongest = 1e6;         // seconds; the clock counts in int64
constexpr milliseconds kAttention{100};  // to what else may have happened

}  // namespace

Patience::Patience(double seconds, const Progress& progress)
    : end_(steady_clock::now() +
           std::chrono::duration_cast<steady_clock::duration>(
               duration<double>(std::min(seconds, kLongest)))),
      progress_(progress) {}

milliseconds Patience::next() const {
  progress_.stop_point();
  const auto left = std::chrono::ceil<milliseconds>(end_ - steady_clock::now());
  return std::clamp(left, milliseconds(0), kAttention);
}

void Patience::sleep() const {
  for (auto step = next(); step.count() > 0; step = next()) {
    std::this_thread::sleep_for(step);
  }
}

}  // namespace rsm
