#include "rsm/base/communicator.h"

#include <algorithm>
#include <cstring>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Elements of a piece of a sum: 4 MB of float32, much longer on its way than a
 * message takes to begin. */
constexpr int64_t kPiece = int64_t{1} << 20;

std::string bytes_of(const std::vector<double>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()),
          numbers.size() * sizeof(double)};
}

std::string shortened(const std::string& text) {
  constexpr size_t kMost = 80;
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

}  // namespace

Share share_of(int64_t count, int64_t rank, int64_t size) {
  return {count * rank / size, count * (rank + 1) / size};
}

void Communicator::send(const torch::Tensor&, int64_t to) {
  throw Error(cat("[ranks] a sole process has no rank ", to, " to send to"));
}

void Communicator::receive(torch::Tensor&, int64_t from) {
  throw Error(cat("[ranks] a sole process has no rank ", from, " to hear"));
}

std::vector<double> Communicator::gather(const std::vector<double>& numbers) {
  std::vector<double> out;
  for (const auto& bytes : gather(bytes_of(numbers))) {
    const auto before = out.size();
    out.resize(before + bytes.size() / sizeof(double));
    std::memcpy(out.data() + before, bytes.data(), bytes.size());
  }
  return out;
}

void Communicator::barrier() { gather(std::string()); }

bool Communicator::any(bool here) {
  const auto all = gather(std::string(1, here ? '1' : '0'));
  return std::find(all.begin(), all.end(), "1") != all.end();
}

double Communicator::sum(double here) {
  double out = 0;
  for (const double number : gather(std::vector<double>{here})) out += number;
  return out;
}

std::string Communicator::first_says(const std::string& here) {
  return gather(is_first() ? here : std::string()).front();
}

double Communicator::first_says(double here) {
  return gather(std::vector<double>{here}).front();
}

void Communicator::check_same(const std::string& what,
                              const std::string& here) {
  const auto all = gather(here);
  for (size_t r = 1; r < all.size(); ++r) {
    RSM_CHECK(all[r] == all[0], "[ranks] ", what, " of rank ", r, " (",
              shortened(all[r]), ") is not that of rank 0 (", shortened(all[0]),
              "); all processes of a run need the same program, config and "
              "files, on the same kind of machine");
  }
}

void Communicator::gather_rows(torch::Tensor& all,
                               const std::vector<Share>& shares) {
  if (is_sole()) return;
  const bool is_here = all.is_cpu() && all.is_contiguous();
  auto host = is_here ? all : all.cpu().contiguous();
  for (int64_t r = 0; r < size(); ++r) {
    const auto& share = shares[r];
    if (share.count() == 0) continue;
    auto rows = host.slice(0, share.first, share.last);
    broadcast(rows, r);
  }
  if (!is_here) all.copy_(host);
}

void Communicator::gather_parts(torch::Tensor& all, int64_t parts,
                                int64_t first) {
  if (all.size(0) == 0) return;
  const int64_t rows = all.size(0) / parts;
  std::vector<Share> shares;
  for (int64_t r = 0; r < size(); ++r) {
    const auto share = rsm::share_of(parts - first, r, size());
    shares.push_back(
        {(first + share.first) * rows, (first + share.last) * rows});
  }
  gather_rows(all, shares);
}

torch::Tensor sum_in_order(Communicator& ranks, int64_t round,
                           const torch::Tensor& sum,
                           const std::vector<torch::Tensor>& own,
                           const std::vector<int64_t>& counts) {
  const int64_t rank = ranks.rank(), end = ranks.size() - 1;
  const bool is_handed = round > 0 && end > 0;  // from the last to the first
  if (is_handed && rank == end) ranks.send(sum.cpu(), 0);
  if (own.empty()) return {};
  auto out = own[0];
  size_t next = 1;
  if (rank == 0 && round > 0) {
    auto host = is_handed ? at::empty_like(out, at::kCPU) : sum;
    if (is_handed) ranks.receive(host, end);
    out = host.to(out.device());
    next = 0;
  } else if (rank > 0) {
    out = at::empty_like(own[0]);
    next = 0;
  }
  const bool goes_on = rank < end && counts[rank + 1] > 0;
  for (int64_t at = 0; at < out.numel(); at += kPiece) {
    const auto piece_of = [&](const torch::Tensor& all) {
      return all.slice(0, at, std::min(at + kPiece, all.numel()));
    };
    auto piece = piece_of(out);
    if (rank > 0) {
      auto host = piece.is_cpu() ? piece : at::empty_like(piece, at::kCPU);
      ranks.receive(host, rank - 1);
      if (!piece.is_cpu()) piece.copy_(host);
    }
    for (size_t i = next; i < own.size(); ++i) piece += piece_of(own[i]);
    if (goes_on) ranks.send(piece.cpu(), rank + 1);
  }
  return goes_on ? torch::Tensor() : out;
}

}  // namespace rsm
