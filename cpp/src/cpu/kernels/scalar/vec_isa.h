// The scalar "register" is one float in plain C++, the reference for the others.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/bf16.h"

namespace cllm {
namespace {

using V = float;
constexpr int kLanes = 1;
constexpr const char* kIsaName = "scalar";

inline V load(const float* p) { return *p; }
inline void store(float* p, V v) { *p = v; }
inline void stream(float* p, V v) { *p = v; }
inline void end_streams() {}
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

// These round twice, because libm's fma would be a function call on a CPU without the instruction.
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

constexpr bool kBf16Units = false;

/// Returns the upper half of v, rounded; see to_bf16.
inline std::uint32_t round_half(V v) {
  std::uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return (bits | 0x00400000u) >> 16;
  if (magnitude < 0x00800000u) return (bits & 0x80000000u) >> 16;
  return (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
}

inline V widen_half(std::uint32_t half) {
  const std::uint32_t bits = half << 16;
  V v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

// It copies instead of assigning, because the same memory may hold floats that the same loop reads.
inline std::uint32_t load_half(const Bf16* p) {
  std::uint16_t half;
  std::memcpy(&half, p, sizeof half);
  return half;
}
inline void store_half(Bf16* p, std::uint32_t half) {
  const auto low = static_cast<std::uint16_t>(half);
  std::memcpy(p, &low, sizeof low);
}

inline V load(const Bf16* p) { return widen_half(load_half(p)); }
inline void store(Bf16* p, V v) { store_half(p, round_half(v)); }
inline V load_partial(const Bf16* p, int n) { return n > 0 ? load(p) : 0.0f; }
inline void store_partial(Bf16* p, V v, int n) {
  if (n > 0) store(p, v);
}

struct Pairs {
  std::uint32_t bits;  ///< the first number in the lower half
};

inline Pairs zip(const Bf16* a, const Bf16* b) { return {load_half(a) | load_half(b) << 16}; }
inline Pairs load_pairs(const Bf16* p) { return zip(p, p + 1); }
inline void store_pairs(Bf16* p, Pairs x) {
  store_half(p, x.bits);
  store_half(p + 1, x.bits >> 16);
}
inline Pairs load_pairs_partial(const Bf16* p, int n) {
  return n > 1 ? load_pairs(p) : Pairs{n > 0 ? load_half(p) : 0u};
}
inline Pairs set1_pair(const Bf16* p) { return load_pairs(p); }
inline Pairs zip(V a, V b) { return {round_half(a) | round_half(b) << 16}; }
inline Pairs pair_up(V a, V b) { return zip(a, b); }
inline Pairs zip_partial(const Bf16* a, const Bf16* b, int n) {
  return n > 0 ? zip(a, b) : Pairs{0};
}
inline V dot(Pairs a, Pairs b, V sum) {
  sum = fma(widen_half(a.bits & 0xFFFFu), widen_half(b.bits & 0xFFFFu), sum);
  return fma(widen_half(a.bits >> 16), widen_half(b.bits >> 16), sum);
}
inline V keep_lanes(V v, std::uint64_t bits) { return (bits & 1u) != 0 ? v : 0.0f; }

using Wide = std::uint64_t;
constexpr int kWideLanes = 1;

inline Wide wide(std::uint32_t x) { return x; }
inline Wide wide_index() { return 0; }
inline Wide wide_add(Wide a, Wide b) { return a + b; }
inline Wide wide_mul(Wide a, Wide b) { return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu); }
inline Wide wide_upper(Wide a) { return a >> 32; }
inline Wide wide_xor(Wide a, Wide b, Wide c) { return a ^ b ^ c; }
inline std::uint32_t wide_at_least(Wide a, Wide b, std::uint32_t threshold) {
  const Wide words = (a & 0xFFFFFFFFu) | b << 32;
  std::uint32_t kept = 0;
  for (int i = 0; i < 4; ++i) {
    kept |= static_cast<std::uint32_t>((words >> (16 * i) & 0xFFFFu) >= threshold) << i;
  }
  return kept;
}

inline V as_floats(Pairs x) {
  V v;
  std::memcpy(&v, &x.bits, sizeof v);
  return v;
}
inline Pairs as_pairs(V v) {
  Pairs x;
  std::memcpy(&x.bits, &v, sizeof x.bits);
  return x;
}

}  // namespace
}  // namespace cllm
