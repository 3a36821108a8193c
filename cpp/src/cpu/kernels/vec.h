// Kernels reach an instruction set only through one vector register of floats and its operations.
//
// One translation unit for each ISA includes this header and first defines CLLM_VEC_AVX2,
// CLLM_VEC_AVX512 or CLLM_VEC_SCALAR (none means scalar, so that every header compiles alone). All
// of it is in an anonymous namespace: inline functions with a name seen by the linker would be
// merged across ISAs, and one compiled for AVX-512 could end up in the scalar table.
//
// Every ISA file provides:
//   V, kLanes, kIsaName
//   load(p) store(p, v)          any alignment
//   stream(p, v)                 past the caches, aligned to V; then end_streams()
//   load_partial(p, n)           n in [0, kLanes]: lanes >= n are 0; never reads past n
//   store_partial(p, v, n)       never writes past n
//   zero() set1(x)
//   add sub mul div sqrt_        correctly rounded
//   min(a, b) max(a, b)          b when either is NaN
//   fma(a, b, c)                 a * b + c, one rounding (scalar: two)
//   fnma(a, b, c) fms(a, b, c)   c - a * b, a * b - c, likewise
//   reduce_add(v) reduce_max(v)  by halves: lane i with lane i + kLanes/2, and so on
//   round_nearest(v)             to even. REQUIRES: |v| < 2^22
//   scale2(v, n)                 v * 2^n. REQUIRES: n integral in [-126, 128]
//   first_lanes(v, n, other)     lanes >= n taken from other
//   zero_below(v, x, limit)      v, but 0 in lanes where x < limit
//   copy_sign(v, s)              |v| with the signs of s
// All four loads and stores also take Bf16*: loads are exact, stores round as to_bf16 does, to the
// same bits in every ISA. For products of bf16 there are pairs, one in each lane:
//   Pairs                        kLanes pairs
//   load_pairs(p) store_pairs(p, x)    2 kLanes consecutive numbers
//   load_pairs_partial(p, n)     n in [0, 2 kLanes] numbers, the others 0; never reads past n
//   set1_pair(p)                 p[0], p[1] in every lane
//   zip(a, b)                    lane i: (a[i], b[i]), rounded when these are V; or from Bf16*
//   pair_up(a, b)                the numbers of a, then those of b, rounded, consecutive
//   zip_partial(a, b, n)         from n in [0, kLanes] numbers each, the others 0
//   dot(a, b, sum)               sum + a.first * b.first + a.second * b.second: kBf16Units say
//                                how it is rounded; without them two fma, the first pair first
//   as_floats(x) as_pairs(v)     the same bits, for moving lanes around
// For random numbers there are lanes of 64 bits:
//   Wide, kWideLanes
//   wide(x)                      a number of 32 bits in every lane
//   wide_index()                 0, 1, 2...
//   wide_add(a, b) wide_xor(a, b, c)   a + b, a ^ b ^ c
//   wide_mul(a, b)               product of the lower halves
//   wide_upper(a)                a >> 32
//   wide_at_least(a, b, t)       bit 4 i + j: of lane i, quarter j of (lower half of a, lower half
//                                of b) is at least t, lowest first. REQUIRES: t < 65536
//   keep_lanes(v, bits)          v, but 0 in lanes i whose bit i is 0
#pragma once

#if defined(CLLM_VEC_AVX512)
#include "cpu/kernels/avx512/vec_isa.h"
#elif defined(CLLM_VEC_AVX2)
#include "cpu/kernels/avx2/vec_isa.h"
#else
#include "cpu/kernels/scalar/vec_isa.h"
#endif

#include "cpu/kernels/vec_math.h"
