// The scalar "register": one float and plain C++, the reference for the others.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace cllm {
namespace {

using V = float;
constexpr int kLanes = 1;
constexpr const char* kIsaName = "scalar";

inline V load(const float* p) { return *p; }
inline void store(float* p, V v) { *p = v; }
inline V load_partial(const float* p, int n) { return n > 0 ? *p : 0.0f; }
inline void store_partial(float* p, V v, int n) {
  if (n > 0) *p = v;
}

inline V zero() { return 0.0f; }
inline V set1(float x) { return x; }
inline V add(V a, V b) { return a + b; }
inline V sub(V a, V b) { return a - b; }
inline V mul(V a, V b) { return a * b; }
inline V div(V a, V b) { return a / b; }
inline V min(V a, V b) { return a < b ? a : b; }
inline V max(V a, V b) { return a > b ? a : b; }
inline V sqrt_(V v) { return std::sqrt(v); }

// Two roundings: libm's fma would be a function call on a CPU without the instruction.
inline V fma(V a, V b, V c) { return a * b + c; }
inline V fnma(V a, V b, V c) { return c - a * b; }
inline V fms(V a, V b, V c) { return a * b - c; }

inline float reduce_add(V v) { return v; }
inline float reduce_max(V v) { return v; }

constexpr float kRoundingBias = 12582912.0f;  // 1.5 * 2^23: its last mantissa bit weighs 1

inline V round_nearest(V v) { return (v + kRoundingBias) - kRoundingBias; }

inline V scale2(V v, V n) {
  // The integer is read from the mantissa of a biased sum: converting a NaN would be undefined.
  const float biased = n + kRoundingBias;
  std::uint32_t bits;
  std::memcpy(&bits, &biased, sizeof bits);
  bits = (bits + 127u) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return v * power;
}

inline V first_lanes(V v, int n, V other) { return n > 0 ? v : other; }
inline V zero_below(V v, V x, V limit) { return x < limit ? 0.0f : v; }
inline V copy_sign(V v, V s) { return std::copysign(v, s); }

}  // namespace
}  // namespace cllm
