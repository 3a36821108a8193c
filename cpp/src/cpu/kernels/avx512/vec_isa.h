// Sixteen floats in an AVX-512 register (F, BW, DQ, VL).
#pragma once

#ifdef __AVX512F__  // compiles alone, to nothing, without the flags

#include <immintrin.h>

namespace cllm {
namespace {

using V = __m512;
constexpr int kLanes = 16;
constexpr const char* kIsaName = "avx512";

/// A bit for each lane < n.
inline __mmask16 lane_mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline V load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, V v) { _mm512_storeu_ps(p, v); }
inline V load_partial(const float* p, int n) { return _mm512_maskz_loadu_ps(lane_mask(n), p); }
inline void store_partial(float* p, V v, int n) { _mm512_mask_storeu_ps(p, lane_mask(n), v); }

inline V zero() { return _mm512_setzero_ps(); }
inline V set1(float x) { return _mm512_set1_ps(x); }
inline V add(V a, V b) { return _mm512_add_ps(a, b); }
inline V sub(V a, V b) { return _mm512_sub_ps(a, b); }
inline V mul(V a, V b) { return _mm512_mul_ps(a, b); }
inline V div(V a, V b) { return _mm512_div_ps(a, b); }

// The zeroing forms with a full mask are the same instructions; the plain ones start from an
// undefined register in GCC 12's header, and it warns about its own header.
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

}  // namespace
}  // namespace cllm

#endif
