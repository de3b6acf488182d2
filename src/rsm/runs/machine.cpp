#include "rsm/runs/machine.h"

#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "rsm/base/error.h"

namespace rsm {
namespace {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown CPU";
}

/** By the driver, so that a build without CUDA knows no less. */
std::string gpu_name(int index) {
  const std::string unknown = "unknown GPU";
  void* driver = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return unknown;
  const auto init =
      reinterpret_cast<int (*)(unsigned)>(::dlsym(driver, "cuInit"));
  const auto get =
      reinterpret_cast<int (*)(int*, int)>(::dlsym(driver, "cuDeviceGet"));
  const auto name_of = reinterpret_cast<int (*)(char*, int, int)>(
      ::dlsym(driver, "cuDeviceGetName"));
  std::array<char, 256> name = {};
  int device = 0;
  const bool known = init != nullptr && get != nullptr && name_of != nullptr &&
                     init(0) == 0 && get(&device, index) == 0 &&
                     name_of(name.data(), name.size() - 1, device) == 0;
  return known ? name.data() : unknown;  // the driver stays loaded
}

}  // namespace

std::string machine_fingerprint(torch::Device device, int64_t tile) {
  std::string text =
      cat(cpu_name(), ", LibTorch ", TORCH_VERSION, ", tile ", tile);
  if (!device.is_cpu()) {
    text += ", " + gpu_name(std::max<int>(device.index(), 0));
  }
  return text;
}

bool has_fast_bfloat16() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
#else
  return true;
#endif
}

std::string rollout_type_warning(torch::Device device,
                                 torch::ScalarType rollout_type, bool fast) {
  if (!device.is_cpu() || rollout_type != torch::kBFloat16 || fast) return "";
  return "compute.rollout_type is bfloat16, which this CPU has no instructions "
         "for (AVX-512): sampling may take several times as long as in "
         "float32; compute.rollout_type: float32 is another run, and sooner";
}

}  // namespace rsm
