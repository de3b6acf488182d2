// The reference that pulls, where it may move.

#include "rsm/train/finetune.h"

namespace rsm {

void Finetune::reset_reference(const Frozen& frozen, nlohmann::json& line) {
  const auto& knobs = options_.method.regularisation.reset;
  if (!knobs.is_on()) return;
  auto& resets = state_.resets;
  const int64_t done = state_.epoch + 1;
  if (knobs.is_due(frozen.reference_kl, done - resets.epoch)) {
    policy_->reset_reference();
    ++resets.count;
    resets.epoch = done;
  }
  line["reference_kl"] = frozen.reference_kl;
  line["reference_resets"] = resets.count;
  line["reference_epoch"] = resets.epoch;
}

}  // namespace rsm
