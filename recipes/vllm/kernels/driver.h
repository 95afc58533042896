// Kernel drivers: `driver CASE CALLS` prepares a case, runs it once, compares the result with doubles, and then runs it
// CALLS times. Two runs that differ in CALLS differ in nothing else.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

namespace driver {

// Calls of a case at most, with the one whose result is compared.
constexpr int CALLS = 4;

// Values between -1 and 1, the same ones on each run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  double next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(static_cast<int64_t>(state_) >> 11) / (1ll << 52);
  }

 private:
  uint64_t state_;
};

// Memory with the alignment of vLLM's buffers.
template <typename T>
T* aligned(size_t count) {
  void* memory = std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64);
  std::memset(memory, 0, (count * sizeof(T) + 63) / 64 * 64);
  return static_cast<T*>(memory);
}

template <typename T>
T* filled(size_t count, uint64_t seed, double scale = 1.0) {
  Random random(seed);
  T* values = aligned<T>(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(static_cast<float>(random.next() * scale));
  return values;
}

// The product of `rows` by the transposed weight, in doubles; the weight has a row for each output.
template <typename T>
std::vector<double> product(const T* input, const T* weight, int64_t rows, int64_t outputs, int64_t inputs) {
  std::vector<double> sums(rows * outputs);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t i = 0; i < inputs; ++i)
        sums[r * outputs + o] += static_cast<double>(input[r * inputs + i]) * static_cast<double>(weight[o * inputs + i]);
  return sums;
}

// Exits with status 1 if the largest difference exceeds a part of the largest expected value.
template <typename T>
void expect(const T* found, const double* expected, size_t count, double tolerance) {
  double largest = 0, difference = 0;
  for (size_t i = 0; i < count; ++i) {
    const double each = std::fabs(static_cast<double>(found[i]) - expected[i]);
    largest = std::fmax(largest, std::fabs(expected[i]));
    difference = each <= difference ? difference : each;  // a NaN stays
  }
  std::printf("largest difference: %g of %g\n", difference, largest);
  if (!(difference <= tolerance * largest)) {
    std::printf("the result differs by more than %g of the largest value\n", tolerance);
    std::exit(1);
  }
}

// A case: prepares, checks, and returns the call.
using Case = std::function<std::function<void()>()>;

inline int run(int argc, char** argv, const std::map<std::string, Case>& cases) {
  const auto found = argc == 3 ? cases.find(argv[1]) : cases.end();
  if (found == cases.end()) {
    std::fprintf(stderr, "usage: %s CASE CALLS\n", argv[0]);
    return 2;
  }
  const auto call = found->second();
  const int calls = std::atoi(argv[2]);
  if (calls >= CALLS) return 2;
  for (int i = 0; i < calls; ++i) call();
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace driver
