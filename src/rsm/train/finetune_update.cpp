// Advantages to new weights: an epoch's updates.

#include <algorithm>
#include <cmath>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/runs/average.h"
#include "rsm/train/finetune.h"
#include "rsm/train/health.h"

namespace rsm {
namespace {

double norm_of(const std::vector<torch::Tensor>& gradients) {
  double square = 0;
  for (const auto& g : gradients) {
    square += g.to(at::kDouble).square().sum().item<double>();
  }
  return std::sqrt(square);
}

}  // namespace

void Finetune::update(EpochData& data) {
  const Clock clock;
  const auto order =
      counted_permutation(counted_seed(options_.seed, Purpose::update_order,
                                       {static_cast<uint64_t>(state_.epoch)}),
                          static_cast<int64_t>(data.trained.size()));
  const auto count = static_cast<size_t>(options_.updates_per_epoch);
  for (size_t u = 0; u < count; ++u) {
    std::vector<int64_t> states;
    for (size_t i = order.size() * u / count;
         i < order.size() * (u + 1) / count; ++i) {
      states.push_back(data.trained[order[i]]);
    }
    one_update(data, states, u == 0);
  }
  policy_->watch(&progress_);
  policy_->refresh_rollout();
  data.seconds.update = clock.seconds();
}

void Finetune::one_update(EpochData& data, const std::vector<int64_t>& states,
                          bool first) {
  const auto weights =
      update_weights(options_.method, data.rollout, data.advantages, states);
  const auto used = states_that_matter(data, weights, states);
  if (used.empty()) {
    return;
  }
  const auto index = torch::tensor(used, at::kLong).to(options_.device);
  UpdateRecorder recorder(data, used);
  const double clip = options_.method.regularisation.clip_range;
  auto gradients = policy_->trained_network().gradients(
      data.rollout.x.index_select(0, index), data.t.index_select(0, index),
      data.conditions.select(data.prompt.index_select(0, index)),
      policy_->parameters(),
      [&](int64_t begin, int64_t count, const torch::Tensor& y) {
        const std::vector<int64_t> part(used.begin() + begin,
                                        used.begin() + begin + count);
        auto terms = loss_terms(options_.method, data.rollout, data.y_old,
                                data.advantages, weights, part);
        const auto index = torch::tensor(part, at::kLong).to(y.device());
        terms.states.y_ref = data.y_ref.index_select(0, index);
        const auto map = data.output_map.select(index);
        const auto output = map.forward(y, terms.states.y_ref);
        auto result = rsm_loss(output, terms.states, terms.rows);
        const double gap =
            first ? first_gap(result.rows, output, terms.states, clip) : 0;
        const auto gradient = map.backward(result.gradient);
        recorder.record(part, result, gap);
        return gradient;
      });
  recorder.finish();
  if (first && data.first_gap > 0) {
    data.warnings.push_back(
        cat("before the first update a log-ratio is ", data.first_gap,
            ", not 0: the device gives other last bits for the same state"));
  }
  data.evaluations.update += static_cast<int64_t>(used.size());
  state_.spent.evaluations += static_cast<int64_t>(used.size());
  optimiser_step(data, std::move(gradients));
}

std::vector<int64_t> Finetune::states_that_matter(
    const EpochData& data, const UpdateWeights& weights,
    const std::vector<int64_t>& states) const {
  std::vector<char> matters(data.rollout.states(), 0);
  const auto advantage = data.advantages.value.to(at::kCPU).contiguous();
  const float* a = advantage.const_data_ptr<float>();
  for (int64_t r = 0; r < data.rollout.rows(); ++r) {
    if (weights.row[r] > 0 && a[r] != 0) {
      matters[data.rollout.row_state[r]] = 1;
    }
  }
  std::vector<int64_t> used;
  for (const int64_t s : states) {
    if (matters[s] != 0 || weights.k_ref[s] > 0) {
      used.push_back(s);
    }
  }
  return used;
}

void Finetune::optimiser_step(EpochData& data,
                              std::vector<torch::Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  const double norm = norm_of(gradients);
  if (!std::isfinite(norm)) {
    skip_update(data, gradients);
    return;
  }
  state_.skipped_in_a_row = 0;
  data.grad_norms.push_back(norm);
  const double factor = std::min(1.0, options_.max_grad_norm / (norm + 1e-6));
  const auto& parameters = policy_->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].mutable_grad() = gradients[i] * factor;
  }
  static_cast<torch::optim::AdamWOptions&>(
      optimiser_->param_groups()[0].options())
      .lr(learning_rate());
  policy_->watch(nullptr);  // half an epoch's updates would be no epoch
  optimiser_->step();
  optimiser_->zero_grad();
  ++state_.spent.updates;
  if (state_.spent.updates % options_.ema_every == 0) {
    update_average();
  }
}

void Finetune::skip_update(EpochData& data,
                           const std::vector<torch::Tensor>& gradients) {
  ++data.skipped_updates;
  ++state_.skipped_in_a_row;
  const auto found = std::find_if(
      gradients.begin(), gradients.end(),
      [](const torch::Tensor& g) { return !g.isfinite().all().item<bool>(); });
  const auto& name = policy_->names()[found - gradients.begin()];
  const std::string what =
      cat("the gradient of ", name, " is not finite; ", why_not_finite(data));
  RSM_CHECK(state_.skipped_in_a_row < kMostSkippedInARow, "[finetune] epoch ",
            state_.epoch + 1, ": ", kMostSkippedInARow,
            " updates in a row were skipped: ", what, ". ",
            way_back(options_.folder));
  data.warnings.push_back("update skipped: " + what);
}

void Finetune::update_average() {
  const double decay = average_decay(options_, state_.spent.updates);
  for (size_t i = 0; i < policy_->names().size(); ++i) {
    state_.average.at(policy_->names()[i])
        .lerp_(policy_->parameters()[i].detach(), 1 - decay);
  }
}

}  // namespace rsm
