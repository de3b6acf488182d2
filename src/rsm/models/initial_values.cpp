#include "rsm/models/initial_values.h"

#include <cmath>

#include "rsm/base/random.h"

namespace rsm {

void set_initial_value(const std::string& name, const torch::Tensor& parameter,
                       uint64_t seed) {
  if (parameter.dim() >= 2) {
    const double fan =
        static_cast<double>(parameter.size(0) + parameter[0].numel());
    parameter.copy_(counted_normal(seed, parameter.sizes()) *
                    std::sqrt(2.0 / fan));
  } else {
    parameter.fill_(name.ends_with("bias") ? 0 : 1);
  }
}

}  // namespace rsm
