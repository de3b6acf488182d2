#include "rsm/train/optimizer_state.h"

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
  const auto& parameters = optimizer.param_groups().at(0).params();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto average = state.find(names.at(i) + ".exp_avg");
    if (average == state.end()) {
      continue;
    }
    RSM_CHECK(average->second.sizes() == parameters[i].sizes(),
              "[AdamW] moments of ", names.at(i), " have shape ",
              average->second.sizes(), "; the parameter has ",
              parameters[i].sizes());
    auto loaded = std::make_unique<AdamWParamState>();
    loaded->step(state.at(names[i] + ".step").item<int64_t>());
    loaded->exp_avg(average->second.to(parameters[i].options()).clone());
    loaded->exp_avg_sq(
        state.at(names[i] + ".exp_avg_sq").to(parameters[i].options()).clone());
    optimizer.state()[parameters[i].unsafeGetTensorImpl()] = std::move(loaded);
  }
}

StateDict with_prefix(const StateDict& all, const std::string& prefix) {
  StateDict out;
  for (auto it = all.lower_bound(prefix);
       it != all.end() && it->first.compare(0, prefix.size(), prefix) == 0;
       ++it) {
    out[it->first.substr(prefix.size())] = it->second;
  }
  return out;
}

void add_with_prefix(StateDict& all, const std::string& prefix,
                     const StateDict& part) {
  for (const auto& [name, tensor] : part) {
    all[prefix + name] = tensor;
  }
}

}  // namespace rsm
