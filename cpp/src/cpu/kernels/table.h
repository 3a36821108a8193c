// Fills the table from the kernels of the ISA that the including file chose.
#pragma once

#include "cpu/kernel_table.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/flat.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/layernorm.h"
#include "cpu/kernels/loss.h"
#include "cpu/kernels/rows.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

constexpr KernelTable kTable{
    kIsaName,
    kLanes,
    gemm,
    kGemmScratchFloats,
    attention_forward,
    attention_backward,
    attention_scratch_floats,
    layernorm_forward,
    layernorm_backward,
    bias_add,
    bias_residual,
    bias_gelu,
    gelu_backward,
    column_sums,
    softmax_stats,
    softmax_gradient,
    add_ranges,
    ordered_sum,
    sum_squares,
    adamw,
    exp_range,
    tanh_range,
};

}  // namespace
}  // namespace cllm
