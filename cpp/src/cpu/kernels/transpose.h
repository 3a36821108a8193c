// A transpose turns a kLanes x kLanes matrix, one row a register, on its diagonal. That is how a
// row-major matrix becomes the columns that a product reads.
#pragma once

#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

// Scalar loads and stores would cost about one cycle an element, a quarter of a product of 64 x 64
// x 64. In registers it costs a sixth of that.
#if defined(CLLM_VEC_AVX512)

inline void transpose(V (&r)[kLanes]) {
  V t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {  // pairs of rows, within 128 bits
    t[i] = _mm512_maskz_unpacklo_ps(kAllLanes, r[i], r[i + 1]);
    t[i + 1] = _mm512_maskz_unpackhi_ps(kAllLanes, r[i], r[i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 4) {  // fours of rows: r[i + c] has columns c, 4 + c, 8 + c, 12 + c
    r[i] = _mm512_maskz_shuffle_ps(kAllLanes, t[i], t[i + 2], 0x44);
    r[i + 1] = _mm512_maskz_shuffle_ps(kAllLanes, t[i], t[i + 2], 0xEE);
    r[i + 2] = _mm512_maskz_shuffle_ps(kAllLanes, t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm512_maskz_shuffle_ps(kAllLanes, t[i + 1], t[i + 3], 0xEE);
  }
#pragma GCC unroll 8
  for (int c = 0; c < 4; ++c) {  // now a 4 x 4 matrix of 128-bit parts for each c
    const V low_even = _mm512_maskz_shuffle_f32x4(kAllLanes, r[c], r[c + 4], 0x88);
    const V low_odd = _mm512_maskz_shuffle_f32x4(kAllLanes, r[c], r[c + 4], 0xDD);
    const V high_even = _mm512_maskz_shuffle_f32x4(kAllLanes, r[c + 8], r[c + 12], 0x88);
    const V high_odd = _mm512_maskz_shuffle_f32x4(kAllLanes, r[c + 8], r[c + 12], 0xDD);
    r[c] = _mm512_maskz_shuffle_f32x4(kAllLanes, low_even, high_even, 0x88);
    r[c + 4] = _mm512_maskz_shuffle_f32x4(kAllLanes, low_odd, high_odd, 0x88);
    r[c + 8] = _mm512_maskz_shuffle_f32x4(kAllLanes, low_even, high_even, 0xDD);
    r[c + 12] = _mm512_maskz_shuffle_f32x4(kAllLanes, low_odd, high_odd, 0xDD);
  }
}

#elif defined(CLLM_VEC_AVX2)

inline void transpose(V (&r)[kLanes]) {
  V t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
#pragma GCC unroll 8
  for (int c = 0; c < 4; ++c) {
    const V low = _mm256_permute2f128_ps(r[c], r[c + 4], 0x20);
    r[c + 4] = _mm256_permute2f128_ps(r[c], r[c + 4], 0x31);
    r[c] = low;
  }
}

#else

inline void transpose(V (&)[kLanes]) {}

#endif

}  // namespace
}  // namespace cllm
