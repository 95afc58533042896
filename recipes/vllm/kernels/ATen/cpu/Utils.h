// Torch's description of the CPU for kernel drivers: 512 KiB of second-level cache.
#pragma once

#include <torch/all.h>

namespace at::cpu {
struct Capability {
  int64_t toInt() const { return 512 * 1024; }
};
inline std::map<std::string, Capability> get_cpu_capabilities() { return {{"l2_cache_size", {}}}; }
}  // namespace at::cpu
