// The cases of attention: one head of every sequence among its rows.
#include <algorithm>
#include <cmath>

#include "cpu/cases/case_lists.h"
#include "cpu/cases/kernel_rows.h"

namespace cllm {
namespace {

using namespace kernel_rows;  // its words make the lists readable

std::int64_t wide(Table, Sizes s) { return s.rows * s.heads * s.columns; }
std::int64_t three(Table t, Sizes s) { return 3 * wide(t, s); }

template <class T>
std::int64_t attention_scratch(Table t, Sizes s) {
  return static_cast<std::int64_t>(
      activation_kernels<T>(t).attention_scratch_floats(std::min(s.rows, s.depth), s.columns, 1));
}

/// Counts kEach operations for each column and each pair of a row and a row that it attends to.
template <int kEach>
double attention_operations(Sizes s) {
  double pairs = 0;
  for (std::int64_t begin = 0; begin < s.rows; begin += s.depth) {
    const auto length = static_cast<double>(std::min(s.depth, s.rows - begin));
    pairs += length * (length + 1) / 2;
  }
  return kEach * pairs * static_cast<double>(s.columns);
}

/// Calls `kernel` for every sequence. q, k and v of all heads lie side by side, and so do their
/// gradients.
template <class T>
void attend(Sizes s, Pointers p, bool backward, void (*kernel)(const AttentionArgs<T>&)) {
  const std::int64_t C = s.heads * s.columns;
  for (std::int64_t begin = 0; begin < s.rows; begin += s.depth) {
    AttentionArgs<T> args{};
    args.length = args.row_end = std::min(s.depth, s.rows - begin);
    args.head_width = s.columns;
    args.group = 1;
    args.scale = 1.0f / std::sqrt(static_cast<float>(s.columns));
    args.q = p.of<const T>(0) + begin * 3 * C;
    args.k = args.q + C;
    args.v = args.k + C;
    args.ld_qkv = args.ld_dqkv = 3 * C;
    args.out = p.of<T>(1) + begin * C;
    args.ld_out = C;
    args.lse = p.of<float>(2) + begin;
    args.scratch = p.of<float>(3);
    if (s.variant == 1) args.dropout = kDropout;
    if (backward) {
      args.dout = p.of<const T>(4) + begin * C;
      args.dq = p.of<T>(5) + begin * 3 * C;
      args.dk = args.dq + C;
      args.dv = args.dk + C;
    }
    kernel(args);
  }
}

template <class T>
constexpr KernelCase kAttentionCases[] = {
    work<T>(KernelShape::kAttention, "attention_forward",
            {read<T>(three), written<T>(wide), written(column),
             of(OperandUse::kScratch, false, attention_scratch<T>)},
            attention_operations<4>,
            [](Table t, Sizes s, Pointers p) {
              attend<T>(s, p, false, activation_kernels<T>(t).attention_forward);
            },
            {{"all", "dropout"}}),
    work<T>(
        KernelShape::kAttention, "attention_backward",
        {read<T>(three), read<T>(wide), read(column, OperandValues::kLarge),
         of(OperandUse::kScratch, false, attention_scratch<T>), read<T>(wide), written<T>(three)},
        attention_operations<10>,
        [](Table t, Sizes s, Pointers p) {
          attend<T>(s, p, true, activation_kernels<T>(t).attention_backward);
        },
        {{"all", "dropout"}}),
};

// The function that says how much scratch attention needs is no kernel.
static_assert(std::size(kAttentionCases<float>) + 1 == kFunctions<AttentionKernels<float>>);

}  // namespace

template <class T>
Span<const KernelCase> attention_cases() {
  return {kAttentionCases<T>, std::size(kAttentionCases<T>)};
}
template Span<const KernelCase> attention_cases<float>();
template Span<const KernelCase> attention_cases<Bf16>();

}  // namespace cllm
