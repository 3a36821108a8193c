// The kernel table gets causal attention of a group of heads here: forward, backward, and their
// scratch.
//
// The figures are GFLOP/s of one Zen 5 core with AVX-512 (peak about 282, bf16 545). The first
// counts the products of all 64 x 64 blocks that touch the triangle (up to half of a block on the
// diagonal is left out), the one in brackets only those of the triangle. AVX2 reaches about half of
// the float rows.
//                    T = 64      256         512         1024
//   float  D = 32   248 (126)   223 (179)   217 (193)   211 (199)   forward
//                   312 (158)   263 (211)   251 (224)   244 (230)   backward
//          D = 64   286 (145)   250 (201)   244 (217)   238 (225)   forward
//                   316 (161)   268 (216)   263 (234)   257 (242)   backward
//   Bf16   D = 32   344 (175)   325 (261)   320 (285)   319 (300)   forward
//                   472 (240)   407 (327)   390 (348)   382 (360)   backward
//          D = 64   448 (228)   422 (339)   411 (366)   403 (380)   forward
//                   542 (275)   480 (386)   460 (410)   450 (424)   backward
#pragma once

#include <algorithm>
#include <cstddef>

#include "cpu/kernels/attention_backward.h"
#include "cpu/kernels/attention_forward.h"

namespace cllm {
namespace {

template <class T>
std::size_t attention_scratch_floats(std::int64_t length, std::int64_t head_width,
                                     std::int64_t group) {
  return static_cast<std::size_t>(
      std::max(attention_forward_floats<T>(length, head_width),
               attention_backward_floats<T>(length, head_width, group)));
}

}  // namespace
}  // namespace cllm
