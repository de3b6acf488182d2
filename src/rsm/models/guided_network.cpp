#include "rsm/models/guided_network.h"

#include <torch/csrc/autograd/autograd.h>

#include <mutex>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/io/printable.h"
#include "rsm/models/ordered_sum.h"

namespace rsm {
namespace {

/** The last one repeated up to `tile`. */
torch::Tensor padded(const torch::Tensor& rows, int64_t tile) {
  const int64_t count = rows.size(0);
  return count == tile
             ? rows
             : at::cat({rows, rows.slice(0, count - 1).expand({tile - count})});
}

}  // namespace

std::string idle_negative_prompt(const std::string& negative_prompt,
                                 double guidance_scale) {
  if (negative_prompt.empty() || guidance_scale != 1) return "";
  return cat("\"", shown(negative_prompt),
             "\" would do nothing: it is what guidance leads away from, and a "
             "guidance scale of 1 is no guidance; raise the scale, or leave "
             "the negative prompt out");
}

GuidedNetwork::GuidedNetwork(Network network, Condition unconditional,
                             double scale, const TileOptions& tiles)
    : network_(std::move(network)),
      device_(network_->parameters().front().device()),
      unconditional_(std::move(unconditional)),
      scale_(scale),
      tiles_(tiles) {
  RSM_CHECK(tiles.tile > 0 && tiles.workers > 0, "[GuidedNetwork] tile ",
            tiles.tile, " and ", tiles.workers,
            " workers arrived; both must be above 0");
}

void GuidedNetwork::for_each_tile(
    int64_t rows, const std::function<void(int64_t, int64_t)>& work) const {
  for_each_tile(rows, {0, tiles_.calls(rows)}, work);
}

void GuidedNetwork::for_each_tile(
    int64_t rows, Share tiles,
    const std::function<void(int64_t, int64_t)>& work) const {
  run_jobs(tiles.count(), tiles_.workers, [&](int64_t job) {
    if (progress_ != nullptr && !is_shared()) {
      progress_->stop_point();
    }
    const int64_t first = (tiles.first + job) * tiles_.tile;
    work(first, std::min(tiles_.tile, rows - first));
  });
}

void GuidedNetwork::stop_together() const {
  const bool stopping = progress_ != nullptr && progress_->stopping();
  if (ranks_->any(stopping)) throw Interrupted("interrupted");
}

void GuidedNetwork::gather_tiles(torch::Tensor& out) const {
  const int64_t rows = out.size(0), tiles = tiles_.calls(rows);
  std::vector<Share> shares;
  for (int64_t r = 0; r < ranks_->size(); ++r) {
    const auto share = share_of(tiles, r, ranks_->size());
    shares.push_back({std::min(share.first * tiles_.tile, rows),
                      std::min(share.last * tiles_.tile, rows)});
  }
  ranks_->gather_rows(out, shares);
}

torch::Tensor GuidedNetwork::tile_of(const torch::Tensor& x,
                                     const torch::Tensor& rows) const {
  return x.index_select(0, padded(rows, tiles_.tile).to(x.device()))
      .to(device_);
}

torch::Tensor GuidedNetwork::run_tile(const torch::Tensor& xs,
                                      const torch::Tensor& t,
                                      const ConditionRows& conditions,
                                      const torch::Tensor& rows) {
  const int64_t tile = tiles_.tile, count = rows.size(0);
  const auto all = padded(rows, tile);
  const auto times = t.index_select(0, all.to(t.device())).to(device_);
  const auto own = conditions.gathered(all).to(device_);
  if (scale_ == 1) {
    return network_->predict(xs, times, own).to(at::kFloat).slice(0, 0, count);
  }
  const auto both =
      network_
          ->predict(at::cat({xs, xs}), at::cat({times, times}),
                    joined(unconditional_.map([&](const torch::Tensor& one) {
                      auto shape = one.sizes().vec();
                      shape[0] = tile;
                      return one.expand(shape);
                    }),
                           own))
          .to(at::kFloat);
  auto y_u = both.slice(0, 0, count);
  if (stops_unconditional_) y_u = y_u.detach();
  const auto y_c = both.slice(0, tile, tile + count);
  return at::lerp(y_u, y_c, scale_);
}

torch::Tensor GuidedNetwork::predict(const torch::Tensor& x,
                                     const torch::Tensor& t,
                                     const ConditionRows& conditions) {
  torch::Tensor out;
  std::once_flag known;  // how large an output is
  Share own = {0, tiles_.calls(x.size(0))};
  if (is_shared()) {
    stop_together();
    own = ranks_->share_of(own.count());
    out = at::empty(x.sizes(), x.options().dtype(at::kFloat));
  }
  for_each_tile(x.size(0), own, [&](int64_t first, int64_t count) {
    const torch::NoGradGuard no_grad;
    const auto rows = at::arange(first, first + count);
    const auto y = run_tile(tile_of(x, rows), t, conditions, rows);
    std::call_once(known, [&] {
      if (out.defined()) return;
      auto shape = y.sizes().vec();
      shape[0] = x.size(0);
      out = at::empty(shape, x.options().dtype(at::kFloat));
    });
    out.slice(0, first, first + count).copy_(y);
  });
  if (is_shared()) gather_tiles(out);
  return out.defined() ? out : at::empty_like(x, at::kFloat);
}

torch::Tensor GuidedNetwork::pull_back(const torch::Tensor& x,
                                       const torch::Tensor& t,
                                       const ConditionRows& conditions,
                                       const OutputGradient& output_gradient) {
  auto out = at::empty(x.sizes(), x.options().dtype(at::kFloat));
  for_each_tile(x.size(0), [&](int64_t first, int64_t count) {
    const at::AutoGradMode gradients(true);
    const auto rows = at::arange(first, first + count);
    const auto xs = tile_of(x, rows).detach().requires_grad_(true);
    const auto y = run_tile(xs, t, conditions, rows);
    const auto seed = output_gradient(first, count, y.detach());
    out.slice(0, first, first + count)
        .copy_(torch::autograd::grad({y}, {xs}, {seed})[0].slice(0, 0, count));
  });
  return out;
}

std::vector<torch::Tensor> GuidedNetwork::gradients(
    const torch::Tensor& x, const torch::Tensor& t,
    const ConditionRows& conditions,
    const std::vector<torch::Tensor>& parameters,
    const OutputGradient& output_gradient, const torch::Tensor& rows) {
  const auto all = rows.defined() ? rows : at::arange(x.size(0));
  const auto of_tiles = [&](Share tiles, const TakePart& take) {
    for_each_tile(all.size(0), tiles, [&](int64_t first, int64_t count) {
      const auto own = all.slice(0, first, first + count);
      const auto y = run_tile(tile_of(x, own), t, conditions, own);
      const auto seed = output_gradient(first, count, y.detach());
      auto part = torch::autograd::grad({y}, parameters, {seed},
                                        /*retain_graph=*/false,
                                        /*create_graph=*/false,
                                        /*allow_unused=*/true);
      for (size_t i = 0; i < part.size(); ++i) {
        if (!part[i].defined()) {
          part[i] = at::zeros_like(parameters[i]);
        }
      }
      take(first / tiles_.tile, std::move(part));
    });
  };
  const int64_t tiles = tiles_.calls(all.size(0));
  if (is_shared()) {
    stop_together();
    return sum_over_ranks(*ranks_, tiles, tiles_.workers, parameters, of_tiles);
  }
  OrderedSum sum;
  of_tiles({0, tiles}, [&](int64_t tile, std::vector<torch::Tensor> part) {
    sum.add(tile, std::move(part));
  });
  return sum.take();
}

}  // namespace rsm
