// Fills the table from the kernels of the ISA that the including file chose.
#pragma once

#include "cpu/kernel_table.h"
#include "cpu/kernels/activations.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/dropout.h"
#include "cpu/kernels/flat.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/gemm_packed.h"
#include "cpu/kernels/layernorm.h"
#include "cpu/kernels/linked_rows.h"
#include "cpu/kernels/loss.h"
#include "cpu/kernels/rmsnorm.h"
#include "cpu/kernels/rotary.h"
#include "cpu/kernels/rows.h"
#include "cpu/kernels/swiglu.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

template <class T>
constexpr ActivationKernels<T> kActivations{
    {attention_forward<T>, attention_backward<T>, attention_scratch_floats<T>},
    {layernorm_forward<T>, layernorm_backward<T>, rmsnorm_forward<T>, rmsnorm_backward<T>,
     rotary_forward<T>, rotary_backward<T>, bias_add<T>, bias_gelu<T>, bias_gelu_erf<T>,
     bias_relu<T>, gelu_backward<T>, swiglu<T>, swiglu_backward<T>, column_sums<T>, dropout_rows<T>,
     softmax_gradient<T>},
};

template <class T>
constexpr ProductKernels<T> kProducts{gemm<T, T>, gemm<T, float>, gemm<T, Bf16>, pack_weight<T>,
                                      gemm_packed<T>};

constexpr FloatKernels kFloats{
    bias_residual, bias_dropout_residual, linked_sum, linked_dots, softmax_stats, add_ranges,
    ordered_sum,   sum_squares,           adamw,      round_range, widen_range,   exp_range,
    tanh_range,
};

constexpr KernelTable kTable{
    kActivations<float>, kProducts<float>, kFloats, kActivations<Bf16>, kProducts<Bf16>,
    kGemmScratchFloats,  kIsaName,         kLanes,  kBf16Units,
};

}  // namespace
}  // namespace cllm
