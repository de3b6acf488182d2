#include "rsm/runs/clip_gradients.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/square_sum.h"

namespace rsm {

double clip_in_place(std::vector<torch::Tensor>& gradients, double max_norm) {
  constexpr double kTiny = 1e-6;  // as torch.nn.utils.clip_grad_norm_
  std::vector<torch::Tensor> squares;
  for (const auto& gradient : gradients) {
    squares.push_back(square_sum_of(gradient));
  }
  const auto all = at::stack(squares).cpu();
  const double* square = all.const_data_ptr<double>();
  double sum = 0;
  for (size_t i = 0; i < squares.size(); ++i) {
    sum += square[i];
  }
  const double norm = std::sqrt(sum);
  if (std::isfinite(norm)) {
    at::_foreach_mul_(gradients, std::min(1.0, max_norm / (norm + kTiny)));
  }
  return norm;
}

}  // namespace rsm
