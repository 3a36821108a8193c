// Causal attention of one head for the kernel table: forward, backward, and the scratch they need.
//
// GFLOP/s of one Zen 5 core with AVX-512 (peak about 282), on a busy machine: counting the products
// of all 64 x 64 blocks that touch the triangle (up to half of those on the diagonal is left out),
// and in brackets those of the triangle alone. AVX2 has about half of it.
//              T = 64      256         512         1024
//   D = 32     270 (137)   228 (183)   219 (195)   211 (199)   forward
//              345 (175)   273 (219)   259 (231)   252 (237)   backward
//   D = 64     300 (152)   251 (201)   225 (200)   217 (204)   forward
//              339 (172)   273 (219)   250 (223)   245 (231)   backward
#pragma once

#include <algorithm>
#include <cstddef>

#include "cpu/kernels/attention_backward.h"
#include "cpu/kernels/attention_forward.h"

namespace cllm {
namespace {

std::size_t attention_scratch_floats(std::int64_t length, std::int64_t head_width) {
  return static_cast<std::size_t>(std::max(attention_forward_floats(length, head_width),
                                           attention_backward_floats(length, head_width)));
}

}  // namespace
}  // namespace cllm
