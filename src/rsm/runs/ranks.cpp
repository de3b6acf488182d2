#include "rsm/runs/ranks.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

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
    if (value.is_null()) continue;  // no files
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
    const auto bytes = one.detach().contiguous().view(at::kByte);
    sum = sum * 1099511628211U +
          static_cast<uint64_t>(bytes.sum(at::kLong).item<int64_t>());
  }
  ranks.check_same(cat("the sum of the weights after epoch ", epoch),
                   std::to_string(sum));
}

int64_t threads_of_rank(Communicator& ranks) {
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  std::string host(256, '\0'), cores;
  gethostname(host.data(), host.size());
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    cores += CPU_ISSET(core, &own) ? '1' : '0';
  }
  std::string all(cores.size(), '0');
  int64_t ranks_here = 0;
  for (const auto& other : ranks.gather(host + cores)) {
    if (other.substr(0, host.size()) != host) continue;
    ++ranks_here;
    for (size_t core = 0; core < all.size(); ++core) {
      if (other[host.size() + core] == '1') all[core] = '1';
    }
  }
  const auto count = std::count(all.begin(), all.end(), '1');
  return std::max<int64_t>(1, count / ranks_here);
}

void keep_cores_of_kernels() {
  const auto is_set = [](const char* name) {
    return std::getenv(name) != nullptr;
  };
  const bool launched = launched_processes() > 1 || is_set("PMI_SIZE") ||
                        is_set("OMPI_COMM_WORLD_SIZE");
  if (!launched || is_set("OMP_NUM_THREADS")) return;
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  std::set<std::string> cores;  // by their threads
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &own)) continue;
    const auto file = cat("/sys/devices/system/cpu/cpu", cpu,
                          "/topology/thread_siblings_list");
    cores.insert(is_there(file) ? read_file(file) : std::to_string(cpu));
  }
  at::get_num_threads();  // or its first look would undo the setting
  at::set_num_threads(std::max(1, static_cast<int>(cores.size())));
}

torch::Device device_of_rank(const Communicator& ranks,
                             const torch::Device& device) {
  const auto all = static_cast<int64_t>(torch::cuda::device_count());
  if (ranks.is_sole() || all == 0 || !device.is_cuda() || device.has_index()) {
    return device;  // of no GPU at all require_device says so
  }
  return {device.type(),
          static_cast<torch::DeviceIndex>(ranks.local_rank() % all)};
}

void take_devices(const Communicator& ranks, RunOptions& options) {
  const std::string shared = options.device.str();
  options.device = device_of_rank(ranks, options.device);
  for (auto& spec : options.rewards) {
    if (spec.device == shared) spec.device = options.device.str();
  }
}

}  // namespace rsm
