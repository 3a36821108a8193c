// A vector is an AVX-512 register of sixteen floats (F, BW, DQ, VL), with or without units for
// bf16.
#pragma once

#ifdef __AVX512F__  // without the flags this header compiles alone, to nothing

#include <immintrin.h>

#include <cstring>

#include "base/bf16.h"

namespace cllm {
namespace {

using V = __m512;
constexpr int kLanes = 16;
#ifdef __AVX512BF16__
constexpr const char* kIsaName = "avx512bf16";
constexpr bool kBf16Units = true;
#else
constexpr const char* kIsaName = "avx512";
constexpr bool kBf16Units = false;
#endif

/// Returns a bit for each lane < n.
inline __mmask16 lane_mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline V load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, V v) { _mm512_storeu_ps(p, v); }
inline void stream(float* p, V v) { _mm512_stream_ps(p, v); }
inline void end_streams() { _mm_sfence(); }
inline V load_partial(const float* p, int n) { return _mm512_maskz_loadu_ps(lane_mask(n), p); }
inline void store_partial(float* p, V v, int n) { _mm512_mask_storeu_ps(p, lane_mask(n), v); }

inline V zero() { return _mm512_setzero_ps(); }
inline V set1(float x) { return _mm512_set1_ps(x); }
inline V add(V a, V b) { return _mm512_add_ps(a, b); }
inline V sub(V a, V b) { return _mm512_sub_ps(a, b); }
inline V mul(V a, V b) { return _mm512_mul_ps(a, b); }
inline V div(V a, V b) { return _mm512_div_ps(a, b); }

// The zeroing forms with a full mask are the same instructions. The plain forms start from an
// undefined register in GCC 12's header, and GCC warns about that.
constexpr __mmask16 kAllLanes = 0xFFFF;
inline V min(V a, V b) { return _mm512_maskz_min_ps(kAllLanes, a, b); }
inline V max(V a, V b) { return _mm512_maskz_max_ps(kAllLanes, a, b); }
inline V sqrt_(V v) { return _mm512_maskz_sqrt_ps(kAllLanes, v); }

inline V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
inline V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
inline V fms(V a, V b, V c) { return _mm512_fmsub_ps(a, b, c); }

inline __m256 lower_half(V v) { return _mm512_maskz_extractf32x8_ps(0xFF, v, 0); }
inline __m256 upper_half(V v) { return _mm512_maskz_extractf32x8_ps(0xFF, v, 1); }

inline float reduce_add(V v) {
  const __m256 eight = _mm256_add_ps(lower_half(v), upper_half(v));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float reduce_max(V v) {
  const __m256 eight = _mm256_max_ps(lower_half(v), upper_half(v));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline V round_nearest(V v) {
  return _mm512_maskz_roundscale_ps(kAllLanes, v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

inline V scale2(V v, V n) { return _mm512_maskz_scalef_ps(kAllLanes, v, n); }

inline V first_lanes(V v, int n, V other) { return _mm512_mask_blend_ps(lane_mask(n), other, v); }

inline V zero_below(V v, V x, V limit) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), v);
}

inline V copy_sign(V v, V s) {
  const V sign = _mm512_set1_ps(-0.0f);
  return _mm512_or_ps(_mm512_andnot_ps(sign, v), _mm512_and_ps(sign, s));
}

/// Returns the upper half of each float, rounded; see to_bf16.
inline __m256i round_halves(V v) {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m256i>(_mm512_maskz_cvtneps_pbh(kAllLanes, v));
#else
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i upper = _mm512_maskz_srli_epi32(kAllLanes, bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
  __m512i half = _mm512_maskz_srli_epi32(kAllLanes, _mm512_add_epi32(bits, bias), 16);
  const __mmask16 nan = _mm512_fpclass_ps_mask(v, 0x81);
  const __mmask16 tiny = _mm512_fpclass_ps_mask(v, 0x20);
  half = _mm512_mask_or_epi32(half, nan, upper, _mm512_set1_epi32(0x40));
  half = _mm512_mask_and_epi32(half, tiny, upper, _mm512_set1_epi32(0x8000));
  return _mm512_maskz_cvtepi32_epi16(kAllLanes, half);
#endif
}

inline __m256i load_halves(const Bf16* p) { return _mm256_maskz_loadu_epi16(kAllLanes, p); }
inline __m256i load_halves_partial(const Bf16* p, int n) {
  return _mm256_maskz_loadu_epi16(lane_mask(n), p);
}
inline __m512i widen_halves(__m256i halves) {
  return _mm512_maskz_cvtepu16_epi32(kAllLanes, halves);
}
inline __m512i shift_up(__m512i halves) { return _mm512_maskz_slli_epi32(kAllLanes, halves, 16); }

/// Puts half i in the upper half of lane i by one permutation instead of widen_halves and shift_up.
/// On Zen 4, sums of bf16 columns in L2 take 1.5 cycles a register, and 2.0 with those two.
inline V floats_of(__m256i halves) {
  const __m512i from =
      _mm512_setr_epi32(0, 1 << 16, 2 << 16, 3 << 16, 4 << 16, 5 << 16, 6 << 16, 7 << 16, 8 << 16,
                        9 << 16, 10 << 16, 11 << 16, 12 << 16, 13 << 16, 14 << 16, 15 << 16);
  const __m512i source = _mm512_castsi256_si512(halves);
  return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xAAAAAAAA, from, source));
}

inline V load(const Bf16* p) { return floats_of(load_halves(p)); }
inline V load_partial(const Bf16* p, int n) { return floats_of(load_halves_partial(p, n)); }
inline void store(Bf16* p, V v) { _mm256_mask_storeu_epi16(p, kAllLanes, round_halves(v)); }
inline void store_partial(Bf16* p, V v, int n) {
  _mm256_mask_storeu_epi16(p, lane_mask(n), round_halves(v));
}

struct Pairs {
  __m512i bits;  ///< the first number of a pair in the lower half of its lane
};

inline Pairs load_pairs(const Bf16* p) { return {_mm512_loadu_si512(p)}; }
inline void store_pairs(Bf16* p, Pairs x) { _mm512_storeu_si512(p, x.bits); }
inline Pairs load_pairs_partial(const Bf16* p, int n) {
  const auto mask = static_cast<__mmask32>((std::uint64_t{1} << n) - 1u);
  return {_mm512_maskz_loadu_epi16(mask, p)};
}
inline Pairs set1_pair(const Bf16* p) {
  int pair;
  std::memcpy(&pair, p, sizeof pair);
  return {_mm512_set1_epi32(pair)};
}
inline Pairs zip_halves(__m256i a, __m256i b) {
  return {_mm512_or_si512(widen_halves(a), shift_up(widen_halves(b)))};
}
inline Pairs zip(V a, V b) { return zip_halves(round_halves(a), round_halves(b)); }
inline Pairs pair_up(V a, V b) {
#ifdef __AVX512BF16__
  return {reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a))};
#else
  const __m512i first = _mm512_castsi256_si512(round_halves(a));
  return {_mm512_maskz_inserti64x4(0xFF, first, round_halves(b), 1)};
#endif
}
inline Pairs zip(const Bf16* a, const Bf16* b) {
  return zip_halves(load_halves(a), load_halves(b));
}
inline Pairs zip_partial(const Bf16* a, const Bf16* b, int n) {
  return zip_halves(load_halves_partial(a, n), load_halves_partial(b, n));
}
inline V dot(Pairs a, Pairs b, V sum) {
#ifdef __AVX512BF16__
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a.bits),
                          reinterpret_cast<__m512bh>(b.bits));
#else
  const __m512i upper = _mm512_set1_epi32(-0x10000);
  sum = fma(_mm512_castsi512_ps(shift_up(a.bits)), _mm512_castsi512_ps(shift_up(b.bits)), sum);
  return fma(_mm512_castsi512_ps(_mm512_and_si512(a.bits, upper)),
             _mm512_castsi512_ps(_mm512_and_si512(b.bits, upper)), sum);
#endif
}
inline V keep_lanes(V v, std::uint64_t bits) {
  return _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), v);
}

using Wide = __m512i;
constexpr int kWideLanes = 8;

inline Wide wide(std::uint32_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
inline Wide wide_index() { return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7); }
inline Wide wide_add(Wide a, Wide b) { return _mm512_add_epi64(a, b); }
inline Wide wide_mul(Wide a, Wide b) { return _mm512_maskz_mul_epu32(0xFF, a, b); }
inline Wide wide_upper(Wide a) { return _mm512_maskz_srli_epi64(0xFF, a, 32); }
inline Wide wide_xor(Wide a, Wide b, Wide c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
inline std::uint32_t wide_at_least(Wide a, Wide b, std::uint32_t threshold) {
  const __m512i words = _mm512_mask_shuffle_epi32(a, 0xAAAA, b, _MM_PERM_CCAA);
  return _mm512_cmpge_epu16_mask(words, _mm512_set1_epi16(static_cast<short>(threshold)));
}

inline V as_floats(Pairs x) { return _mm512_castsi512_ps(x.bits); }
inline Pairs as_pairs(V v) { return {_mm512_castps_si512(v)}; }

}  // namespace
}  // namespace cllm

#endif
