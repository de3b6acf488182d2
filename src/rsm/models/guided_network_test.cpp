#include "rsm/models/guided_network.h"

#include <gtest/gtest.h>

#include <atomic>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/sd3_transformer.h"

namespace rsm {
namespace {

Sd3Config guided_config() {
  Sd3Config c;
  c.sample_size = 8;
  c.patch_size = 2;
  c.in_channels = c.out_channels = 3;
  c.num_layers = 2;
  c.attention_head_dim = 16;
  c.num_attention_heads = 2;
  c.joint_attention_dim = 24;
  c.caption_projection_dim = 32;
  c.pooled_projection_dim = 20;
  c.pos_embed_max_size = 4;
  c.qk_rms_norm = true;
  return c;
}

/** A network, its inputs and the empty prompt's condition, all random. */
struct Setting {
  explicit Setting(int64_t rows = 13) : network(guided_config()) {
    uint64_t index = 0;
    const torch::NoGradGuard no_grad;
    for (auto& p : network->parameters()) {
      p.copy_(counted_normal(++index, p.sizes()) * 0.2);
    }
    x = counted_normal(101, {rows, 3, 8, 8});
    t = at::linspace(0.05, 1, rows);
    condition = {counted_normal(102, {rows, 5, 24}),
                 counted_normal(103, {rows, 20})};
    empty = {counted_normal(104, {1, 5, 24}), counted_normal(105, {1, 20})};
  }

  GuidedNetwork flow(double scale, int64_t tile, int64_t workers = 1) const {
    TileOptions tiles;
    tiles.tile = tile;
    tiles.workers = workers;
    return GuidedNetwork(network.ptr(), empty, scale, tiles);
  }

  torch::Tensor predict(GuidedNetwork flow) const {
    return flow.predict(x, t, condition);
  }

  Sd3Transformer network;
  torch::Tensor x, t;
  Condition condition, empty;
};

TEST(GuidedNetwork, IsTheFormulaOfClassifierFreeGuidance) {
  const Setting s;
  const torch::NoGradGuard no_grad;
  auto network = s.network;
  const auto y_c =
      network(s.x, s.t * 1000, s.condition.tokens, s.condition.pooled);
  const auto y_u = network(s.x, s.t * 1000, s.empty.tokens.expand({13, 5, 24}),
                           s.empty.pooled.expand({13, 20}));
  for (const double scale : {0.0, 1.0, 2.0, 4.5}) {
    const auto expected = y_u + scale * (y_c - y_u);
    EXPECT_TRUE(at::allclose(s.predict(s.flow(scale, 4)), expected, 1e-4, 1e-5))
        << scale;
  }
}

TEST(GuidedNetwork, DoesNotDependOnWorkersBitForBit) {
  const Setting s;
  const auto whole = s.predict(s.flow(2, 4));
  for (const int64_t workers : {2, 3, 8}) {
    EXPECT_TRUE(at::equal(whole, s.predict(s.flow(2, 4, workers)))) << workers;
  }
}

TEST(GuidedNetwork, RowsDoNotDependOnTheirPlaceInATile) {
  const Setting s;
  auto flow = s.flow(2, 8);
  const auto order = torch::tensor({5, 0, 12, 3, 7, 1, 11, 2, 9, 4, 10, 8, 6});
  const auto permuted =
      flow.predict(s.x.index_select(0, order), s.t.index_select(0, order),
                   s.condition.select(order));
  EXPECT_TRUE(
      at::equal(s.predict(s.flow(2, 8)).index_select(0, order), permuted));
}

TEST(GuidedNetwork, TileSizesAgreeToRounding) {
  const Setting s;
  const auto reference = s.predict(s.flow(2, 16));
  for (const int64_t tile : {1, 4, 64}) {
    EXPECT_TRUE(
        at::allclose(reference, s.predict(s.flow(2, tile)), 1e-4, 1e-4));
  }
}

TEST(GuidedNetwork, GradientsAreThoseOfOneBackwardPass) {
  const Setting s;
  std::vector<torch::Tensor> parameters = s.network->parameters();
  const auto seed = counted_normal(9, s.x.sizes());
  auto network = s.network;
  const auto y_c =
      network(s.x, s.t * 1000, s.condition.tokens, s.condition.pooled);
  const auto y_u = network(s.x, s.t * 1000, s.empty.tokens.expand({13, 5, 24}),
                           s.empty.pooled.expand({13, 20}));
  const auto expected = torch::autograd::grad(
      {y_u + 2 * (y_c - y_u)}, parameters, {seed}, false, false, true);
  const auto gradients = [&](int64_t tile, int64_t workers) {
    return s.flow(2, tile, workers)
        .gradients(s.x, s.t, s.condition, parameters,
                   [&](int64_t first, int64_t count, const torch::Tensor& y) {
                     EXPECT_EQ(y.size(0), count);
                     EXPECT_FALSE(y.requires_grad());
                     return seed.slice(0, first, first + count);
                   });
  };
  const auto tiled = gradients(4, 1);
  const auto threaded = gradients(4, 3);
  const auto single = gradients(1, 2);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!expected[i].defined()) {
      EXPECT_EQ(tiled[i].abs().max().item<double>(), 0);
      continue;
    }
    const double scale = expected[i].abs().max().item<double>() + 1e-12;
    const auto error = [&](const torch::Tensor& g) {
      return (g - expected[i]).abs().max().item<double>() / scale;
    };
    // float32 sums over 13 rows and up to 2 x 21 tokens in another order.
    EXPECT_LT(error(tiled[i]), 1e-4);
    EXPECT_LT(error(single[i]), 1e-4);
    EXPECT_TRUE(at::equal(tiled[i], threaded[i]));
  }
}

/** Asks to stop from the so-many-th question on. */
class StopsAfter : public NoProgress {
 public:
  explicit StopsAfter(int64_t questions) : left_(questions) {}
  bool stopping() const override { return left_-- <= 0; }

 private:
  mutable std::atomic<int64_t> left_;
};

TEST(GuidedNetwork, StopsBetweenTilesWhereItsProgressAsks) {
  const Setting s;
  const auto gradients = [&](GuidedNetwork& flow) {
    return flow.gradients(
        s.x, s.t, s.condition, s.network->parameters(),
        [](int64_t, int64_t, const torch::Tensor& y) { return y; });
  };
  auto flow = s.flow(2, 4, 2);  // 13 rows: 4 tiles
  for (const int64_t tiles : {0, 1, 3}) {
    const StopsAfter progress(tiles);
    flow.watch(&progress);
    EXPECT_THROW(flow.predict(s.x, s.t, s.condition), Interrupted) << tiles;
    const StopsAfter again(tiles);
    flow.watch(&again);
    EXPECT_THROW(gradients(flow), Interrupted) << tiles;
  }
  const StopsAfter patient(4);
  flow.watch(&patient);
  EXPECT_TRUE(at::equal(flow.predict(s.x, s.t, s.condition),
                        s.predict(s.flow(2, 4, 2))));
  flow.watch(nullptr);
  EXPECT_EQ(gradients(flow).size(), s.network->parameters().size());
}

TEST(GuidedNetwork, GradientModeGivesTheSameOutputsBitForBit) {
  const Setting s;
  const auto plain = s.predict(s.flow(2, 4));
  auto seen = at::zeros_like(plain);
  s.flow(2, 4).gradients(
      s.x, s.t, s.condition, s.network->parameters(),
      [&](int64_t first, int64_t count, const torch::Tensor& y) {
        seen.slice(0, first, first + count).copy_(y);
        return at::zeros_like(y);
      });
  EXPECT_TRUE(at::equal(plain, seen));
}

TEST(GuidedNetwork, RefusesImpossibleTiles) {
  const Setting s;
  EXPECT_THROW(s.flow(2, 0), Error);
  EXPECT_THROW(s.flow(2, 4, 0), Error);
}

/** dL/dx of L = sum seed y, by one backward pass through both halves. */
torch::Tensor pulled(const Setting& s, const torch::Tensor& seed, double scale,
                     bool stop_unconditional) {
  auto network = s.network;
  const auto x = s.x.clone().requires_grad_(true);
  const auto y_c =
      network(x, s.t * 1000, s.condition.tokens, s.condition.pooled);
  auto y_u = network(x, s.t * 1000, s.empty.tokens.expand({13, 5, 24}),
                     s.empty.pooled.expand({13, 20}));
  if (stop_unconditional) y_u = y_u.detach();
  return torch::autograd::grad({y_u + scale * (y_c - y_u)}, {x}, {seed})[0];
}

TEST(GuidedNetwork, PullsAGradientBackToItsStates) {
  const Setting s;
  const auto seed = counted_normal(9, s.x.sizes());
  const torch::NoGradGuard no_grad;  // it needs none of the caller's
  for (const bool stops : {false, true}) {
    at::AutoGradMode mode(true);
    const auto expected = pulled(s, seed, 2, stops);
    for (const int64_t workers : {1, 3}) {
      auto flow = s.flow(2, 4, workers);
      if (stops) flow.stop_unconditional();
      const at::AutoGradMode off(false);
      const auto got =
          flow.pull_back(s.x, s.t, s.condition,
                         [&](int64_t first, int64_t count, const auto& y) {
                           EXPECT_EQ(y.size(0), count);
                           return seed.slice(0, first, first + count);
                         });
      EXPECT_TRUE(at::allclose(got, expected, 1e-4, 1e-5)) << stops;
    }
  }
  for (const auto& p : s.network->parameters()) {
    EXPECT_FALSE(p.grad().defined());
  }
}

TEST(GuidedNetwork, PullsBackThroughBlocksThatAreComputedAgain) {
  const Setting s;
  const auto seed = counted_normal(9, s.x.sizes());
  const auto pull = [&] {
    return s.flow(2, 4).pull_back(
        s.x, s.t, s.condition, [&](int64_t first, int64_t count, const auto&) {
          return seed.slice(0, first, first + count);
        });
  };
  const auto expected = pull();
  s.network.ptr()->set_activation_checkpointing(true);
  EXPECT_TRUE(pull().equal(expected));
}

}  // namespace
}  // namespace rsm
