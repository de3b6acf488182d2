#include "rsm/base/state_dict.h"

namespace rsm {

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
