#include "rsm/base/memory.h"

#include <ATen/DeviceAccelerator.h>
#include <sys/resource.h>

namespace rsm {

double peak_memory_mb(torch::Device device) {
  if (!device.is_cpu()) {
    const auto index =
        device.has_index() ? device.index() : at::accelerator::getDeviceIndex();
    const auto stats = at::accelerator::getDeviceStats(index);
    const auto all =
        static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return static_cast<double>(stats.reserved_bytes[all].peak) / (1 << 20);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // KiB on Linux
}

}  // namespace rsm
