#include "cpu/kernel_cases.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "cpu/kernel_rows.h"

namespace cllm {
namespace {

using namespace kernel_rows;  // its words make the lists readable

// -- attention --------------------------------------------------------------------------------

constexpr Dropout kDropout{1, 2, 3, 6554, 65536.0f / (65536 - 6554)};  // a tenth

std::int64_t wide(Table, Sizes s) { return s.rows * s.heads * s.columns; }
std::int64_t three(Table t, Sizes s) { return 3 * wide(t, s); }

template <class T>
std::int64_t attention_scratch(Table t, Sizes s) {
  return static_cast<std::int64_t>(
      activation_kernels<T>(t).attention_scratch_floats(std::min(s.rows, s.depth), s.columns));
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

// -- the kernels ------------------------------------------------------------------------------

template <class T>
constexpr KernelCase kActivationCases[] = {
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
    row_pass<T>(
        "layernorm_forward",
        {read(matrix), read(row), read(row), written<T>(matrix), written(column), written(column)},
        [](Table t, Sizes s, Pointers p) {
          activation_kernels<T>(t).layernorm_forward(s.rows, s.columns, p.of<const float>(0),
                                                     p.of<const float>(1), p.of<const float>(2),
                                                     p.of<T>(3), p.of<float>(4), p.of<float>(5));
        }),
    // This has a residual, and the copy of dx where it has another type.
    row_pass<T>("layernorm_backward",
                {read(matrix), read(matrix), read(row), read(row), read(column), read(column),
                 read(matrix), written(matrix), written<T>(matrix), written(row), written(row),
                 kHalves<T> ? written<T>(matrix) : kNoOperand},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).layernorm_backward(
                      s.rows, s.columns, p.of<const float>(0), p.of<const float>(1),
                      p.of<const float>(2), p.of<const float>(3), p.of<const float>(4),
                      p.of<const float>(5), p.of<const float>(6), p.of<float>(7),
                      kHalves<T> ? p.of<T>(11) : nullptr, p.of<T>(8), p.of<float>(9),
                      p.of<float>(10));
                }),
    row_pass<T>("bias_add", {read(row), made<T>(matrix), product<T>(matrix)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).bias_add(s.rows, s.columns, p.of<const float>(0),
                                                    {made_from<T>(p, 1, 2), s.columns},
                                                    {p.of<T>(1), s.columns});
                }),
    row_pass<T>("bias_gelu",
                {read(row), made<T>(matrix),
                 written<T>([](Table t, Sizes s) { return s.variant == 0 ? matrix(t, s) : 0; }),
                 product<T>(matrix)},
                [](Table t, Sizes s, Pointers p) {
                  T* const slope = s.variant == 0 ? p.of<T>(2) : nullptr;
                  activation_kernels<T>(t).bias_gelu(s.rows, s.columns, p.of<const float>(0),
                                                     {made_from<T>(p, 1, 3), s.columns},
                                                     {p.of<T>(1), s.columns}, {slope, s.columns});
                },
                {{"slope", "alone"}}),
    row_pass<T>(
        "gelu_backward",
        {read<T>(matrix, OperandValues::kOnes), made<T>(matrix), written(row), product<T>(matrix)},
        [](Table t, Sizes s, Pointers p) {
          activation_kernels<T>(t).gelu_backward(s.rows, s.columns, {p.of<const T>(0), s.columns},
                                                 {made_from<T>(p, 1, 3), s.columns},
                                                 {p.of<T>(1), s.columns}, p.of<float>(2));
        }),
    row_pass<T>("column_sums", {read<T>(matrix), written(row)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).column_sums(
                      s.rows, s.columns, {p.of<const T>(0), s.columns}, p.of<float>(1), false);
                }),
    row_pass<T>("dropout_rows", {read(matrix), written<T>(matrix), written(row)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).dropout_rows(s.rows, s.columns, p.of<const float>(0),
                                                        kDropout, 0, p.of<T>(1), p.of<float>(2),
                                                        false);
                }),
    row_pass<T>("softmax_gradient",
                {made<T>(matrix), read(column, OperandValues::kLarge),
                 read(column, OperandValues::kTargets), product<T>(matrix, OperandPlace::kUnder)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).softmax_gradient(
                      s.rows, s.columns, {made_from<T>(p, 0, 3), s.columns}, p.of<const float>(1),
                      p.of<const std::int32_t>(2), 0, 0.25f, {p.of<T>(0), s.columns});
                }),
};

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

std::size_t size(Sizes s) { return static_cast<std::size_t>(s.rows * s.columns); }

/// Returns a scattered row for each r, as the rows of token embeddings are: an odd stride.
std::int64_t elsewhere(std::int64_t r, std::int64_t rows) { return r * 2654435761 % rows; }

constexpr KernelCase kFloatCases[] = {
    row_pass("bias_residual", {read(row), read(matrix), updated(matrix)},
             [](Table t, Sizes s, Pointers p) {
               t.bias_residual(s.rows, s.columns, p.of<const float>(0),
                               {p.of<const float>(1), s.columns}, {p.of<float>(2), s.columns});
             }),
    row_pass("bias_dropout_residual", {read(row), read(matrix), updated(matrix)},
             [](Table t, Sizes s, Pointers p) {
               t.bias_dropout_residual(s.rows, s.columns, p.of<const float>(0), kDropout, 0, 0,
                                       {p.of<const float>(1), s.columns},
                                       {p.of<float>(2), s.columns});
             }),
    row_pass("softmax_stats", {read(matrix), written(column), written(column)},
             [](Table t, Sizes s, Pointers p) {
               t.softmax_stats(s.rows, s.columns, {p.of<const float>(0), s.columns}, p.of<float>(1),
                               p.of<float>(2));
             }),
    // Addition is called alone, and as embeddings do: rows from elsewhere plus rows, and rows added
    // to some elsewhere.
    row_pass("add", {read(matrix), read(matrix), written(matrix)},
             [](Table t, Sizes s, Pointers p) {
               const float *a = p.of<const float>(0), *b = p.of<const float>(1);
               float* const out = p.of<float>(2);
               if (s.variant == 0) return t.add(size(s), a, b, out);
               for (std::int64_t r = 0; r < s.rows; ++r) {
                 const std::int64_t at = r * s.columns, far = elsewhere(r, s.rows) * s.columns;
                 if (s.variant == 1)
                   t.add(static_cast<std::size_t>(s.columns), a + far, b + at, out + at);
                 if (s.variant == 2)
                   t.add(static_cast<std::size_t>(s.columns), out + far, b + at, out + far);
               }
             },
             {{"range", "gather", "scatter"}}),
    flat_pass("ordered_sum", {updated(matrix), read([](Table, Sizes s) {
                                return (s.variant + 1) * s.rows * s.columns;
                              })},
              [](Table t, Sizes s, Pointers p) {
                const float* const more = p.of<const float>(1);
                const float* const sources[] = {p.of<const float>(0), more, more + size(s)};
                t.ordered_sum(size(s), 2 + s.variant, sources, p.of<float>(0));
              },
              {{"2", "3"}}),
    flat_pass("sum_squares", {read(matrix), written(one)},
              [](Table t, Sizes s, Pointers p) {
                *p.of<float>(1) = static_cast<float>(t.sum_squares(size(s), p.of<const float>(0)));
              }),
    flat_pass(
        "adamw",
        {read(matrix), updated(matrix), updated(matrix), updated(matrix, OperandValues::kLarge)},
        [](Table t, Sizes s, Pointers p) {
          const AdamWArgs args{1e-6f, 0.9f, 0.99f, 1e-8f, 0.1f, 1.0f, 1.0f, 1.0f};
          t.adamw(size(s), args, p.of<const float>(0), p.of<float>(1), p.of<float>(2),
                  p.of<float>(3));
        }),
    flat_pass("round_bf16", {read(matrix), written<Bf16>(matrix)},
              [](Table t, Sizes s, Pointers p) {
                t.round_bf16(size(s), p.of<const float>(0), p.of<Bf16>(1));
              }),
    flat_pass("widen_bf16", {read<Bf16>(matrix), written(matrix)},
              [](Table t, Sizes s, Pointers p) {
                t.widen_bf16(size(s), p.of<const Bf16>(0), p.of<float>(1));
              }),
    flat_pass(
        "exp", {read(matrix), written(matrix)},
        [](Table t, Sizes s, Pointers p) { t.exp(size(s), p.of<const float>(0), p.of<float>(1)); }),
    flat_pass("tanh", {read(matrix), written(matrix)},
              [](Table t, Sizes s, Pointers p) {
                t.tanh(size(s), p.of<const float>(0), p.of<float>(1));
              }),
};

// There are as many cases as functions; the one that says how much scratch attention needs is no
// kernel.
template <class Table>
constexpr std::size_t kFunctions = sizeof(Table) / sizeof(void (*)());
static_assert(std::size(kActivationCases<float>) + 1 == kFunctions<ActivationKernels<float>>);
static_assert(std::size(kProductCases<float>) == kFunctions<ProductKernels<float>>);
static_assert(std::size(kFloatCases) == kFunctions<FloatKernels>);

}  // namespace

Span<const KernelCase> kernel_cases() {
  static const std::vector<KernelCase> all = [] {
    std::vector<KernelCase> cases;
    const auto add = [&](const auto& some) {
      cases.insert(cases.end(), std::begin(some), std::end(some));
    };
    add(kActivationCases<float>);
    add(kProductCases<float>);
    add(kFloatCases);
    add(kActivationCases<Bf16>);
    add(kProductCases<Bf16>);
    return cases;
  }();
  return all;
}

const KernelCase& kernel_case(const std::string& kernel, bool bf16) {
  for (const KernelCase& one : kernel_cases()) {
    if (kernel == one.kernel && bf16 == one.bf16) return one;
  }
  throw std::invalid_argument("no kernel is called " + kernel);
}

}  // namespace cllm
