// Torch's umbrella header for kernel drivers: the real number types and checks, and declarations of the tensors that
// vLLM's headers name. It compiles in a second instead of half a minute, and the drivers link without libtorch.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>
#include <c10/util/Float8_e4m3fn.h>
#include <c10/util/Float8_e5m2.h>
#include <c10/util/Half.h>

#define DRIVER_CHECK(condition)                                             \
  do {                                                                      \
    if (!(condition)) {                                                     \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
      std::abort();                                                         \
    }                                                                       \
  } while (false)

#undef TORCH_CHECK
#undef TORCH_CHECK_EQ
#undef TORCH_CHECK_LE
#undef TORCH_CHECK_GE
#undef TORCH_CHECK_LT
#undef TORCH_CHECK_GT
#define TORCH_CHECK(condition, ...) DRIVER_CHECK(condition)
#define TORCH_CHECK_EQ(left, right) DRIVER_CHECK((left) == (right))
#define TORCH_CHECK_LE(left, right) DRIVER_CHECK((left) <= (right))
#define TORCH_CHECK_GE(left, right) DRIVER_CHECK((left) >= (right))
#define TORCH_CHECK_LT(left, right) DRIVER_CHECK((left) < (right))
#define TORCH_CHECK_GT(left, right) DRIVER_CHECK((left) > (right))
#define TORCH_WARN_ONCE(...)

namespace c10 {
enum class ScalarType : int8_t { Float, Half, BFloat16, Int, Char, Byte, Long };

template <ScalarType type>
struct TypeOf;
template <>
struct TypeOf<ScalarType::Float> {
  using type = float;
};
template <>
struct TypeOf<ScalarType::Half> {
  using type = Half;
};
template <>
struct TypeOf<ScalarType::BFloat16> {
  using type = BFloat16;
};
}  // namespace c10

#define AT_DISPATCH_CASE(enum_type, ...)                 \
  case enum_type: {                                      \
    using scalar_t = c10::TypeOf<enum_type>::type;       \
    return __VA_ARGS__();                                \
  }
#define AT_DISPATCH_SWITCH(value, name, ...)             \
  [&] {                                                  \
    switch (value) {                                     \
      __VA_ARGS__                                        \
      default:                                           \
        std::fprintf(stderr, "%s: no such type\n", name); \
        std::abort();                                    \
    }                                                    \
  }()

namespace at {
using c10::ScalarType;

struct TensorOptions {
  ScalarType type = ScalarType::Float;
  TensorOptions dtype(ScalarType other) const { return {other}; }
  TensorOptions device(int) const { return *this; }
};

// A matrix in memory that the driver owns.
struct Tensor {
  void* data = nullptr;
  std::vector<int64_t> sizes;
  ScalarType type = ScalarType::Float;

  template <typename T>
  T* data_ptr() const {
    return static_cast<T*>(data);
  }
  void* data_ptr() const { return data; }
  const void* const_data_ptr() const { return data; }
  void* mutable_data_ptr() const { return data; }
  bool defined() const { return data != nullptr; }
  const Tensor& contiguous() const { return *this; }
  const Tensor& to(ScalarType) const { return *this; }
  int64_t dim() const { return static_cast<int64_t>(sizes.size()); }
  int64_t size(int64_t i) const { return sizes[i < 0 ? i + sizes.size() : i]; }
  int64_t numel() const {
    int64_t count = 1;
    for (int64_t each : sizes) count *= each;
    return count;
  }
  int64_t stride(int64_t i) const {
    int64_t step = 1;
    for (size_t k = sizes.size() - 1; k > (i < 0 ? i + sizes.size() : static_cast<size_t>(i)); --k) step *= sizes[k];
    return step;
  }
  bool is_contiguous() const { return true; }
  ScalarType scalar_type() const { return type; }
  TensorOptions options() const { return {type}; }
};

inline Tensor empty(std::vector<int64_t> sizes, TensorOptions options) {
  Tensor made{nullptr, std::move(sizes), options.type};
  made.data = std::aligned_alloc(64, (made.numel() * 8 + 63) / 64 * 64 + 64);
  return made;
}
inline Tensor empty_like(const Tensor& other) { return empty(other.sizes, other.options()); }
}  // namespace at

namespace torch {
using at::empty;
using at::empty_like;
using at::ScalarType;
using at::Tensor;
using at::TensorOptions;
constexpr ScalarType kInt8 = ScalarType::Char;
constexpr int kCPU = 0;
}  // namespace torch
