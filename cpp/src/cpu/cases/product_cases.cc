// The cases of matrix products and of packing for them.
#include "cpu/cases/case_lists.h"
#include "cpu/cases/kernel_rows.h"

namespace cllm {
namespace {

using namespace kernel_rows;  // its words make the lists readable

double product_operations(Sizes s) {
  return 2.0 * static_cast<double>(s.rows) * static_cast<double>(s.columns) *
         static_cast<double>(s.depth);
}

std::int64_t gemm_scratch(Table t, Sizes) {
  return static_cast<std::int64_t>(t.gemm_scratch_floats);
}

template <class T>
constexpr KernelCase kProductCases[] = {
    work<T>(KernelShape::kProduct, "gemm",
            {read<T>(left), read<T>(right), written(matrix),
             of(OperandUse::kScratch, false, gemm_scratch)},
            product_operations,
            [](Table t, Sizes s, Pointers p) {
              product_kernels<T>(t).gemm(product_args<T, T>(s, p), p.of<float>(3));
            },
            {{"nn", "nt", "tn"}}),
    work<T>(KernelShape::kProduct, "gemm_weight",
            {read<T>(left), read(right), written(matrix),
             of(OperandUse::kScratch, false, gemm_scratch)},
            product_operations,
            [](Table t, Sizes s, Pointers p) {
              product_kernels<T>(t).gemm_weight(product_args<T, float>(s, p), p.of<float>(3));
            },
            {{"nn", "nt"}}),
    work<T>(KernelShape::kProduct, "gemm_bf16_weight",
            {read<T>(left), read<Bf16>(right), written(matrix),
             of(OperandUse::kScratch, false, gemm_scratch)},
            product_operations,
            [](Table t, Sizes s, Pointers p) {
              product_kernels<T>(t).gemm_bf16_weight(product_args<T, Bf16>(s, p), p.of<float>(3));
            },
            {{"nn", "nt"}}),
    row_pass<T>("pack_weight", {read(matrix), written<T>([](Table, Sizes s) {
                                  return packed_size<T>(s.rows, s.columns);
                                })},
                [](Table t, Sizes s, Pointers p) {
                  product_kernels<T>(t).pack_weight(
                      {s.variant == 0 ? GemmForm::kNN : GemmForm::kNT,
                       s.rows,
                       s.columns,
                       {p.of<const float>(0), s.variant == 0 ? s.columns : s.rows},
                       p.of<T>(1),
                       s.rows});
                },
                {{"nn", "nt"}}),
    work<T>(
        KernelShape::kProduct, "gemm_packed",
        {read<T>(left), read<T>([](Table, Sizes s) { return packed_size<T>(s.depth, s.columns); }),
         written(matrix)},
        product_operations,
        [](Table t, Sizes s, Pointers p) {
          product_kernels<T>(t).gemm_packed({s.rows,
                                             s.columns,
                                             s.depth,
                                             {p.of<const T>(0), s.depth},
                                             p.of<const T>(1),
                                             {p.of<float>(2), s.columns},
                                             false});
        }),
};

static_assert(std::size(kProductCases<float>) == kFunctions<ProductKernels<float>>);

}  // namespace

template <class T>
Span<const KernelCase> product_cases() {
  return {kProductCases<T>, std::size(kProductCases<T>)};
}
template Span<const KernelCase> product_cases<float>();
template Span<const KernelCase> product_cases<Bf16>();

}  // namespace cllm
