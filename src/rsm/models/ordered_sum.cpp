#include "rsm/models/ordered_sum.h"

#include <algorithm>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** One long row of tensors of one type. */
torch::Tensor flat(const std::vector<torch::Tensor>& all) {
  std::vector<torch::Tensor> rows;
  for (const auto& one : all) rows.push_back(one.reshape(-1));
  return at::cat(rows);
}

/** The reverse, in the shapes of `like`. */
std::vector<torch::Tensor> apart(const torch::Tensor& row,
                                 const std::vector<torch::Tensor>& like) {
  std::vector<torch::Tensor> out;
  int64_t at = 0;
  for (const auto& one : like) {
    out.push_back(row.slice(0, at, at + one.numel()).view(one.sizes()));
    at += one.numel();
  }
  return out;
}

}  // namespace

void OrderedSum::add(int64_t number, std::vector<torch::Tensor> part) {
  const std::lock_guard lock(mutex_);
  waiting_[number] = std::move(part);
  for (auto it = waiting_.find(next_); it != waiting_.end();
       it = waiting_.find(++next_)) {
    accumulate(it->second);
    waiting_.erase(it);
  }
}

void OrderedSum::accumulate(std::vector<torch::Tensor>& part) {
  if (sum_.empty()) {
    sum_ = std::move(part);
    return;
  }
  for (size_t i = 0; i < part.size(); ++i) {
    sum_[i] += part[i];
  }
}

int64_t tiles_in_a_round(int64_t tiles, int64_t ranks, int64_t workers,
                         int64_t bytes_of_gradient) {
  constexpr int64_t kHeld = int64_t{512} << 20;
  const int64_t share = (tiles + ranks - 1) / ranks;
  const int64_t fit = kHeld / std::max<int64_t>(bytes_of_gradient, 1);
  return std::min(share, std::max(workers, fit));
}

std::vector<torch::Tensor> sum_over_ranks(
    Communicator& ranks, int64_t tiles, int64_t workers,
    const std::vector<torch::Tensor>& parameters,
    const GradientsOfTiles& gradients) {
  int64_t length = 0;
  const auto& first = parameters.front();
  for (const auto& one : parameters) {
    length += one.numel();
    RSM_CHECK(one.scalar_type() == first.scalar_type(), "[ranks] weights of ",
              one.dtype(), " and ", first.dtype(),
              " are trained; of one type alone gradients are added up");
  }
  const int64_t bytes = length * static_cast<int64_t>(first.element_size());
  const int64_t size = ranks.size();
  const int64_t most = tiles_in_a_round(tiles, size, workers, bytes);
  torch::Tensor sum;
  int64_t owner = 0;
  for (int64_t done = 0, round = 0; done < tiles; ++round) {
    std::vector<int64_t> counts(size);
    Share own;
    for (int64_t r = 0; r < size; ++r) {
      counts[r] = std::min(most, tiles - done);
      if (r == ranks.rank()) own = {done, done + counts[r]};
      if (counts[r] > 0) owner = r;
      done += counts[r];
    }
    std::vector<torch::Tensor> parts(own.count());
    if (own.count() > 0) {
      gradients(own, [&](int64_t tile, const std::vector<torch::Tensor>& part) {
        parts[tile - own.first] = flat(part);
      });
    }
    ranks.barrier();  // who is missing here is named
    sum = sum_in_order(ranks, round, sum, parts, counts);
  }
  auto host = sum.defined()
                  ? sum.cpu()
                  : at::empty({length}, first.options().device(at::kCPU));
  ranks.broadcast(host, owner);
  return apart(host.to(first.device()), parameters);
}

}  // namespace rsm
