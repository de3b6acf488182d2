#include "rsm/runs/optimizer_step.h"

#include "rsm/base/error.h"

namespace rsm {

void step_along(torch::optim::Optimizer& optimiser,
                const std::vector<torch::Tensor>& gradients) {
  auto& parameters = optimiser.param_groups().at(0).params();
  RSM_CHECK(gradients.size() == parameters.size(), "[optimiser] ",
            gradients.size(), " gradients arrived for ", parameters.size(),
            " parameters; one for each is needed");
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].mutable_grad() = gradients[i];
  }
  optimiser.step();
  for (const auto& parameter : parameters) {
    parameter.mutable_grad().reset();  // zero_grad() refuses views
  }
}

}  // namespace rsm
