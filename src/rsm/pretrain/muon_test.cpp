#include "rsm/pretrain/muon.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/base/random.h"

namespace rsm {
namespace {

TEST(Orthogonalised, BringsSingularValuesNearOne) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {3, 16, 16}, {2, 48, 16}, {2, 16, 48}}) {
    const auto x = counted_normal(1, shape);
    const auto values = at::linalg_svdvals(orthogonalised(x));
    // The published quintic ends within 0.68..1.13 for singular values above
    // a thousandth of the norm; a Gaussian square may have a smaller one.
    EXPECT_LT(values.max().item<double>(), 1.25);
    EXPECT_GT(values.median().item<double>(), 0.6);
  }
}

TEST(Orthogonalised, KeepsTheSingularVectors) {
  const auto x = counted_normal(2, {1, 12, 20});
  const auto [u, s, v] = at::linalg_svd(x[0], /*full_matrices=*/false);
  const auto middle =
      at::matmul(at::matmul(u.t(), orthogonalised(x)[0]), v.t());
  const auto off = middle - at::diag(middle.diagonal());
  EXPECT_LT(off.abs().max().item<double>(), 1e-4);  // float32 rounding
}

TEST(Muon, DescendsAndResumesBitForBit) {
  const auto target = counted_normal(3, {6, 4});
  const auto run = [&](int steps, int resume_at) {
    auto w = at::zeros({6, 4}).requires_grad_(true);
    auto muon = std::make_unique<Muon>(
        std::map<std::string, torch::Tensor>{{"w", w}}, 0.95);
    for (int i = 0; i < steps; ++i) {
      if (i == resume_at) {
        StateDict kept;
        for (const auto& [name, buffer] : muon->state()) {
          kept[name] = buffer.clone();
        }
        muon = std::make_unique<Muon>(
            std::map<std::string, torch::Tensor>{{"w", w}}, 0.95);
        muon->load_state(kept);
      }
      w.mutable_grad() = torch::Tensor();
      (w - target).square().sum().backward();
      muon->step(0.02);
    }
    return w.detach().clone();
  };
  const auto whole = run(60, -1);
  EXPECT_LT((whole - target).square().sum().item<double>(),
            0.3 * target.square().sum().item<double>());
  EXPECT_TRUE(at::equal(whole, run(60, 25)));
}

TEST(Muon, RefusesVectorsAndForeignStates) {
  auto v = at::zeros({4}).requires_grad_(true);
  EXPECT_THROW(Muon({{"v", v}}, 0.9), Error);
  auto w = at::zeros({4, 4}).requires_grad_(true);
  Muon muon({{"w", w}}, 0.9);
  EXPECT_THROW(muon.load_state({{"w", at::zeros({2, 2})}}), Error);
}

}  // namespace
}  // namespace rsm
