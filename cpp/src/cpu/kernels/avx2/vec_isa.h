// A vector is an AVX2 register of eight floats, with fused multiply-adds.
#pragma once

#ifdef __AVX2__  // without the flags this header compiles alone, to nothing

#include <immintrin.h>

#include <cstring>

#include "base/bf16.h"

namespace cllm {
namespace {

using V = __m256;
constexpr int kLanes = 8;
constexpr const char* kIsaName = "avx2";

/// Returns all ones in lanes < n.
inline __m256i lane_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline V load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, V v) { _mm256_storeu_ps(p, v); }
inline void stream(float* p, V v) { _mm256_stream_ps(p, v); }
inline void end_streams() { _mm_sfence(); }
inline V load_partial(const float* p, int n) { return _mm256_maskload_ps(p, lane_mask(n)); }
inline void store_partial(float* p, V v, int n) { _mm256_maskstore_ps(p, lane_mask(n), v); }

inline V zero() { return _mm256_setzero_ps(); }
inline V set1(float x) { return _mm256_set1_ps(x); }
inline V add(V a, V b) { return _mm256_add_ps(a, b); }
inline V sub(V a, V b) { return _mm256_sub_ps(a, b); }
inline V mul(V a, V b) { return _mm256_mul_ps(a, b); }
inline V div(V a, V b) { return _mm256_div_ps(a, b); }
inline V min(V a, V b) { return _mm256_min_ps(a, b); }
inline V max(V a, V b) { return _mm256_max_ps(a, b); }
inline V sqrt_(V v) { return _mm256_sqrt_ps(v); }

inline V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
inline V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
inline V fms(V a, V b, V c) { return _mm256_fmsub_ps(a, b, c); }

inline float reduce_add(V v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float reduce_max(V v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline V round_nearest(V v) {
  return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

inline V scale2(V v, V n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

inline V first_lanes(V v, int n, V other) {
  return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(lane_mask(n)));
}

inline V zero_below(V v, V x, V limit) {
  return _mm256_andnot_ps(_mm256_cmp_ps(x, limit, _CMP_LT_OQ), v);
}

inline V copy_sign(V v, V s) {
  const V sign = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(sign, v), _mm256_and_ps(sign, s));
}

constexpr bool kBf16Units = false;

/// Returns the upper half of each float, rounded, in the lower half of its lane; see to_bf16.
inline __m256i round_halves(V v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
  const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7FFFFFFF));
  const __m256i nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7F800000));
  const __m256i tiny = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x00800000), magnitude);
  const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
  const __m256i sign = _mm256_and_si256(upper, _mm256_set1_epi32(0x8000));
  return _mm256_blendv_epi8(_mm256_blendv_epi8(rounded, quiet, nan), sign, tiny);
}

inline __m256i load_halves(const Bf16* p) {
  __m128i halves;
  std::memcpy(&halves, p, sizeof halves);
  return _mm256_cvtepu16_epi32(halves);
}

inline __m256i load_halves_partial(const Bf16* p, int n) {
  Bf16 copy[kLanes] = {};
  std::memcpy(copy, p, static_cast<std::size_t>(n) * sizeof *copy);
  return load_halves(copy);
}

inline V load(const Bf16* p) { return _mm256_castsi256_ps(_mm256_slli_epi32(load_halves(p), 16)); }
inline V load_partial(const Bf16* p, int n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(load_halves_partial(p, n), 16));
}
inline void store(Bf16* p, V v) {
  const __m256i halves = round_halves(v);
  const __m128i packed =
      _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  std::memcpy(p, &packed, sizeof packed);
}
inline void store_partial(Bf16* p, V v, int n) {
  Bf16 copy[kLanes];
  store(copy, v);
  std::memcpy(p, copy, static_cast<std::size_t>(n) * sizeof *copy);
}

struct Pairs {
  __m256i bits;  ///< the first number of a pair in the lower half of its lane
};

inline Pairs load_pairs(const Bf16* p) {
  Pairs x;
  std::memcpy(&x.bits, p, sizeof x.bits);
  return x;
}
inline void store_pairs(Bf16* p, Pairs x) { std::memcpy(p, &x.bits, sizeof x.bits); }
inline Pairs load_pairs_partial(const Bf16* p, int n) {
  Bf16 copy[2 * kLanes] = {};
  std::memcpy(copy, p, static_cast<std::size_t>(n) * sizeof *copy);
  return load_pairs(copy);
}
inline Pairs set1_pair(const Bf16* p) {
  int pair;
  std::memcpy(&pair, p, sizeof pair);
  return {_mm256_set1_epi32(pair)};
}
inline Pairs zip_halves(__m256i a, __m256i b) {
  return {_mm256_or_si256(a, _mm256_slli_epi32(b, 16))};
}
inline Pairs zip(V a, V b) { return zip_halves(round_halves(a), round_halves(b)); }
inline Pairs pair_up(V a, V b) {
  const __m256i parts = _mm256_packus_epi32(round_halves(a), round_halves(b));
  return {_mm256_permute4x64_epi64(parts, 0xD8)};  // each 128 bits held a part of both
}
inline Pairs zip(const Bf16* a, const Bf16* b) {
  return zip_halves(load_halves(a), load_halves(b));
}
inline Pairs zip_partial(const Bf16* a, const Bf16* b, int n) {
  return zip_halves(load_halves_partial(a, n), load_halves_partial(b, n));
}
inline V dot(Pairs a, Pairs b, V sum) {
  const __m256i upper = _mm256_set1_epi32(-0x10000);
  sum = fma(_mm256_castsi256_ps(_mm256_slli_epi32(a.bits, 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(b.bits, 16)), sum);
  return fma(_mm256_castsi256_ps(_mm256_and_si256(a.bits, upper)),
             _mm256_castsi256_ps(_mm256_and_si256(b.bits, upper)), sum);
}
inline V keep_lanes(V v, std::uint64_t bits) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i all = _mm256_set1_epi32(static_cast<int>(bits & 0xFFu));
  return _mm256_and_ps(v,
                       _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, lane), lane)));
}

using Wide = __m256i;
constexpr int kWideLanes = 4;

inline Wide wide(std::uint32_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
inline Wide wide_index() { return _mm256_setr_epi64x(0, 1, 2, 3); }
inline Wide wide_add(Wide a, Wide b) { return _mm256_add_epi64(a, b); }
inline Wide wide_mul(Wide a, Wide b) { return _mm256_mul_epu32(a, b); }
inline Wide wide_upper(Wide a) { return _mm256_srli_epi64(a, 32); }
inline Wide wide_xor(Wide a, Wide b, Wide c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
inline std::uint32_t wide_at_least(Wide a, Wide b, std::uint32_t threshold) {
  const __m256i words = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA);
  const __m256i limit = _mm256_set1_epi16(static_cast<short>(threshold));
  const __m256i kept = _mm256_cmpeq_epi16(_mm256_max_epu16(words, limit), words);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(kept), _mm256_extracti128_si256(kept, 1));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
}

inline V as_floats(Pairs x) { return _mm256_castsi256_ps(x.bits); }
inline Pairs as_pairs(V v) { return {_mm256_castps_si256(v)}; }

}  // namespace
}  // namespace cllm

#endif
