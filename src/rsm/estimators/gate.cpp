#include "rsm/estimators/gate.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Twice how many of the others each number beats, where equals count half: a
 * whole number. */
std::vector<int64_t> doubled_ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<int64_t> out(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) {
      ++end;
    }
    for (size_t k = first; k < end; ++k) {
      out[order[k]] = static_cast<int64_t>(first + end - 1);
    }
    first = end;
  }
  return out;
}

double plain_mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

/** The number above which a share of these lies, between two by its place. */
double threshold_of(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = static_cast<double>(values.size() - 1) * (1 - share);
  const auto below = static_cast<size_t>(place);
  const auto above = std::min(below + 1, values.size() - 1);
  const double part = place - static_cast<double>(below);
  return values[below] + part * (values[above] - values[below]);
}

/** [R] the mean over the pictures that each row led to. */
std::vector<double> of_rows(const RolloutIndex& rollout,
                            const std::vector<double>& of_images) {
  std::vector<double> out;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t count =
        rollout.row_images.empty() ? 1 : rollout.row_images[r];
    const auto first = of_images.begin() + rollout.row_image[r];
    out.push_back(plain_mean({first, first + count}));
  }
  return out;
}

}  // namespace

torch::Tensor suspicion(const RewardScores& scores) {
  const int64_t images = scores.value.numel();
  auto out = doubled_ranks(doubles_of(scores.value));
  std::vector<std::vector<int64_t>> others;
  for (const auto& part : scores.parts) {
    if (part.weight == 0) {
      others.push_back(doubled_ranks(doubles_of(part.value)));
    }
  }
  RSM_CHECK(!others.empty(), "[gate] ", scores.parts.size(),
            " rewards, none of weight 0; the samples to be held are told by "
            "what such others say: add one to `rewards` with weight: 0");
  // Whole numbers, so that equal ranks are equal.
  const auto count = std::ssize(others);
  for (int64_t i = 0; i < images; ++i) {
    out[i] *= count;
    for (const auto& ranks : others) out[i] -= ranks[i];
  }
  const auto most =
      static_cast<double>(2 * count * std::max<int64_t>(images - 1, 1));
  return torch::tensor(out, at::kLong).to(at::kDouble) / most;
}

void Gate::move(double mean) {
  if (!means_.empty()) {
    const auto [low, high] = std::minmax_element(means_.begin(), means_.end());
    if (mean > *high) {
      share_ *= 1 + knobs_.rate;
    } else if (mean < *low) {
      share_ *= 1 - knobs_.rate;
    }
    share_ = std::clamp(share_, knobs_.least, knobs_.most);
  }
  means_.push_back(mean);
  if (std::ssize(means_) > knobs_.memory) means_.erase(means_.begin());
}

void Gate::hold(const RolloutIndex& rollout, const RewardScores& scores,
                Guidance& guidance) {
  const auto of_images = doubles_of(suspicion(scores));
  std::vector<double> suspicious;  // never none: the sum over all is 0
  std::copy_if(of_images.begin(), of_images.end(),
               std::back_inserter(suspicious),
               [](double one) { return one >= 0; });
  const double mean = plain_mean(suspicious);
  move(mean);
  const double least = threshold_of(suspicious, share_);
  const auto rows = of_rows(rollout, of_images);
  const auto all = static_cast<double>(rows.size());
  const auto held = static_cast<double>(std::count_if(
      rows.begin(), rows.end(), [&](double one) { return one > least; }));
  std::vector<double> pull;
  for (const double one : rows) pull.push_back(one > least ? all / held : 0);
  guidance.advantages.pull = torch::tensor(pull, at::kDouble);
  guidance.numbers["gate_share"] = share_;
  guidance.numbers["gate_held"] = held / all;
  guidance.numbers["suspicion"] = mean;
}

torch::Tensor Gate::state() const {
  std::vector<double> out = {share_};
  out.insert(out.end(), means_.begin(), means_.end());
  return torch::tensor(out, at::kDouble);
}

void Gate::load_state(const torch::Tensor& state) {
  RSM_CHECK(state.dim() == 1 && state.numel() > 0 &&
                state.scalar_type() == at::kDouble,
            "[gate] its state is ", state.sizes(), " ", state.dtype(),
            "; [1 + epochs] float64 is needed: resume from another checkpoint "
            "or start a new run");
  const auto all = doubles_of(state);
  share_ = all.front();
  means_.assign(all.begin() + 1, all.end());
}

}  // namespace rsm
