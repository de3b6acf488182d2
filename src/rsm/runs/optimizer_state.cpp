#include "rsm/runs/optimizer_state.h"

#include "rsm/base/error.h"

namespace rsm {

using torch::optim::AdamWParamState;

StateDict adamw_state(torch::optim::AdamW& optimizer,
                      const std::vector<std::string>& names) {
  StateDict out;
  const auto& parameters = optimizer.param_groups().at(0).params();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto found =
        optimizer.state().find(parameters[i].unsafeGetTensorImpl());
    if (found == optimizer.state().end()) {
      continue;
    }
    const auto& state = static_cast<const AdamWParamState&>(*found->second);
    out[names.at(i) + ".exp_avg"] = state.exp_avg();
    out[names.at(i) + ".exp_avg_sq"] = state.exp_avg_sq();
    out[names.at(i) + ".step"] = torch::tensor(state.step(), at::kLong);
  }
  return out;
}

void load_adamw_state(torch::optim::AdamW& optimizer,
                      const std::vector<std::string>& names,
                      const StateDict& state) {
  if (state.empty()) return;
  const auto& parameters = optimizer.param_groups().at(0).params();
  const auto moment = [&](size_t i, const char* kind) {
    const auto found = state.find(names.at(i) + kind);
    RSM_CHECK(found != state.end(), "[AdamW] ", names.at(i), " has no ",
              kind + 1, " though other parameters have moments; all or none");
    RSM_CHECK(found->second.sizes() == parameters[i].sizes(),
              "[AdamW] moments of ", names.at(i), " have shape ",
              found->second.sizes(), "; the parameter has ",
              parameters[i].sizes());
    return found->second.to(parameters[i].options(), /*non_blocking=*/false,
                            /*copy=*/true);
  };
  RSM_CHECK(state.size() <= 3 * parameters.size(), "[AdamW] ", state.size(),
            " tensors of moments for ", parameters.size(),
            " parameters; each has three");
  for (size_t i = 0; i < parameters.size(); ++i) {
    auto loaded = std::make_unique<AdamWParamState>();
    loaded->exp_avg(moment(i, ".exp_avg"));
    loaded->exp_avg_sq(moment(i, ".exp_avg_sq"));
    const auto step = state.find(names[i] + ".step");
    RSM_CHECK(step != state.end() && step->second.numel() == 1 &&
                  step->second.scalar_type() == torch::kLong,
              "[AdamW] ", names[i], " has no .step, a whole number");
    loaded->step(step->second.item<int64_t>());
    optimizer.state()[parameters[i].unsafeGetTensorImpl()] = std::move(loaded);
  }
}

}  // namespace rsm
