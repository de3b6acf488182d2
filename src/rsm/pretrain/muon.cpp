#include "rsm/pretrain/muon.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {

torch::Tensor orthogonalised(const torch::Tensor& stack) {
  // Coefficients and step count of the published optimiser.
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  constexpr int kSteps = 5;
  const bool tall = stack.size(1) > stack.size(2);
  auto x = tall ? stack.transpose(1, 2) : stack;
  x = x / (at::linalg_vector_norm(x, 2, {1, 2}, /*keepdim=*/true) + 1e-7);
  for (int i = 0; i < kSteps; ++i) {
    const auto gram = at::bmm(x, x.transpose(1, 2));
    const auto poly = at::baddbmm(gram, gram, gram, b, c);
    x = at::baddbmm(x, poly, x, a, 1);
  }
  return tall ? x.transpose(1, 2) : x;
}

Muon::Muon(std::map<std::string, torch::Tensor> parameters, double momentum)
    : parameters_(std::move(parameters)), momentum_(momentum) {
  for (const auto& [name, p] : parameters_) {
    RSM_CHECK(p.dim() == 2 || p.dim() == 4, "[Muon] ", name, " has ", p.dim(),
              " dimensions; only matrices and filters are allowed; give it to "
              "AdamW");
    by_shape_[{p.size(0), p.numel() / p.size(0)}].push_back(name);
    momentum_buffers_[name] = at::zeros_like(p);
  }
}

void Muon::step(double learning_rate) {
  const torch::NoGradGuard no_grad;
  for (const auto& [shape, names] : by_shape_) {
    std::vector<torch::Tensor> updates;
    for (const auto& name : names) {
      const auto& gradient = parameters_.at(name).grad();
      auto& momentum = momentum_buffers_.at(name);
      momentum.mul_(momentum_).add_(gradient);
      updates.push_back(  // Nesterov
          gradient.add(momentum, momentum_).flatten(1));
    }
    const auto stack = orthogonalised(at::stack(updates));
    const double ratio = static_cast<double>(shape.first) / shape.second;
    const double scale = learning_rate * std::sqrt(std::max(1.0, ratio));
    for (size_t i = 0; i < names.size(); ++i) {
      auto& p = parameters_.at(names[i]);
      p.sub_(stack[i].view(p.sizes()), scale);
    }
  }
}

void Muon::load_state(const StateDict& state) {
  for (auto& [name, buffer] : momentum_buffers_) {
    const auto found = state.find(name);
    RSM_CHECK(found != state.end() && found->second.sizes() == buffer.sizes(),
              "[Muon] no momentum for ", name, " in the checkpoint");
    buffer.copy_(found->second);
  }
}

}  // namespace rsm
