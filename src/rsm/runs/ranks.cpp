#include "rsm/runs/ranks.h"

#include <torch/cuda.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/io/config_values.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

using Values = std::map<std::string, std::string>;

/** What no number depends on, and is a rank's own. */
Values config_of(const std::string& resolved) {
  auto out = config_values(*parse_config(resolved, "a rank's config"));
  for (const auto* key : {"compute.threads", "compute.device"}) out.erase(key);
  return out;
}

Values inputs_of(const RunInputs& inputs) {
  Values out;
  const auto all = to_json(inputs).flatten();
  for (const auto& [key, value] : all.items()) {
    if (key != "/model_place") out[key.substr(1)] = value.dump();
  }
  return out;
}

/** The first key that has another value; "" where none has. */
std::string difference(const Values& first, const Values& other) {
  const auto said = [](const Values& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? "nothing" : found->second;
  };
  auto keys = first;
  keys.insert(other.begin(), other.end());
  for (const auto& [key, value] : keys) {
    if (said(first, key) != said(other, key)) {
      return cat(key, " is ", said(first, key), " on rank 0 and ",
                 said(other, key), " there");
    }
  }
  return "";
}

}  // namespace

void check_same_run(Communicator& ranks, const RunOptions& options,
                    const RunInputs& inputs) {
  if (ranks.is_sole()) return;
  const nlohmann::json own = {
      {"program", {{"program " RSM_VERSION, file_checksum("/proc/self/exe")}}},
      {"config", config_of(options.resolved)},
      {"inputs", inputs_of(inputs)}};
  const auto all = ranks.gather(own.dump());
  const auto first = nlohmann::json::parse(all.front());
  for (size_t r = 1; r < all.size(); ++r) {
    const auto other = nlohmann::json::parse(all[r]);
    for (const auto* what : {"program", "config", "inputs"}) {
      const auto text =
          difference(first[what].get<Values>(), other[what].get<Values>());
      RSM_CHECK(text.empty(), "[ranks] rank ", r, " has another ", what,
                " than rank 0: ", text,
                "; all processes of a run need the same program, config and "
                "files");
    }
  }
}

void check_same_weights(Communicator& ranks, int64_t epoch,
                        const std::vector<torch::Tensor>& weights) {
  if (ranks.is_sole()) return;
  uint64_t sum = 0;
  for (const auto& one : weights) {
    const auto bits = one.detach().contiguous().view(at::kByte).to(at::kLong);
    sum = sum * 1099511628211U +
          static_cast<uint64_t>(bits.sum().item<int64_t>());
  }
  ranks.check_same(cat("the sum of the weights after epoch ", epoch),
                   std::to_string(sum));
}

int64_t threads_of_rank(const Communicator& ranks) {
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  // A process that is bound to some cores sees these alone.
  const auto all = static_cast<int64_t>(sysconf(_SC_NPROCESSORS_ONLN));
  const bool is_bound = cores < all;
  return std::max<int64_t>(1, is_bound ? cores : cores / ranks.local_size());
}

void take_device(const Communicator& ranks, RunOptions& options) {
  auto& device = options.device;
  const auto all = static_cast<int64_t>(torch::cuda::device_count());
  if (ranks.is_sole() || all == 0 || !device.is_cuda() || device.has_index()) {
    return;  // of no GPU at all require_device says so
  }
  const std::string shared = device.str();
  device.set_index(static_cast<torch::DeviceIndex>(ranks.local_rank() % all));
  for (auto& spec : options.rewards) {
    if (spec.device == shared) spec.device = device.str();
  }
}

}  // namespace rsm
