// The cases of passes over rows of activations.
#include "cpu/cases/case_lists.h"
#include "cpu/cases/kernel_rows.h"

namespace cllm {
namespace {

using namespace kernel_rows;  // its words make the lists readable

// Heads of 64 where the columns are made of them, else one head; an odd column is left over.
std::int64_t head_width(Sizes s) { return s.columns % 64 == 0 ? 64 : s.columns / 2 * 2; }
std::int64_t head_count(Sizes s) { return s.columns % 64 == 0 ? s.columns / 64 : 1; }
std::int64_t all_heads(Sizes s) { return head_count(s) * head_width(s); }
std::int64_t heads(Table, Sizes s) { return s.rows * all_heads(s); }
std::int64_t turns(Table, Sizes s) { return s.rows * head_width(s); }
constexpr KernelOperand kTurns{OperandUse::kRead, false, OperandPlace::kStays,
                               OperandValues::kTurns, turns};

std::int64_t slopes(Table t, Sizes s) { return s.variant == 0 ? matrix(t, s) : 0; }

constexpr KernelOperand kProduct{OperandUse::kRead, false, OperandPlace::kStays,
                                 OperandValues::kAny, matrix};

template <class T>
constexpr KernelCase activation(const char* name, Call call) {
  return row_pass<T>(name, {read(row), made<T>(matrix), written<T>(slopes), product<T>(matrix)},
                     call, {{"slope", "alone"}});
}

template <class T>
void activate(Sizes s, Pointers p, decltype(ActivationKernels<T>::bias_gelu) kernel) {
  T* const slope = s.variant == 0 ? p.of<T>(2) : nullptr;
  kernel(s.rows, s.columns, p.of<const float>(0), {made_from<T>(p, 1, 3), s.columns},
         {p.of<T>(1), s.columns}, {slope, s.columns});
}

template <class T>
constexpr KernelCase kRowCases[] = {
    row_pass<T>(
        "layernorm_forward",
        {read(matrix), read(row), read(row), written<T>(matrix), written(column), written(column)},
        [](Table t, Sizes s, Pointers p) {
          activation_kernels<T>(t).layernorm_forward(s.rows, s.columns, 1e-5f, p.of<const float>(0),
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
    row_pass<T>("rmsnorm_forward", {read(matrix), read(row), written<T>(matrix), written(column)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).rmsnorm_forward(
                      s.rows, s.columns, 1e-5f, {p.of<const float>(0), s.columns},
                      p.of<const float>(1), {p.of<T>(2), s.columns}, p.of<float>(3));
                }),
    // This has a residual, too.
    row_pass<T>("rmsnorm_backward",
                {read(matrix), read(matrix), read(row), read(column), read(matrix), written(matrix),
                 written<T>(matrix), written(row), kHalves<T> ? written<T>(matrix) : kNoOperand},
                [](Table t, Sizes s, Pointers p) {
                  const std::int64_t C = s.columns;
                  activation_kernels<T>(t).rmsnorm_backward(
                      s.rows, C, {p.of<const float>(0), C}, {p.of<const float>(1), C},
                      p.of<const float>(2), p.of<const float>(3), {p.of<const float>(4), C},
                      {p.of<float>(5), C}, {kHalves<T> ? p.of<T>(8) : nullptr, C}, {p.of<T>(6), C},
                      p.of<float>(7), false);
                }),
    // Models with a bias here are few.
    row_pass<T>("rotary_forward", {kTurns, made<T>(heads), product<T>(heads)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).rotary_forward(
                      s.rows, head_count(s), head_width(s), p.of<const float>(0), nullptr,
                      {made_from<T>(p, 1, 2), all_heads(s)}, {p.of<T>(1), all_heads(s)});
                }),
    row_pass<T>("rotary_backward", {kTurns, of(OperandUse::kUpdate, kHalves<T>, heads)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).rotary_backward(
                      s.rows, head_count(s), head_width(s), p.of<const float>(0),
                      {p.of<const T>(1), all_heads(s)}, {p.of<T>(1), all_heads(s)});
                }),
    row_pass<T>("bias_add", {read(row), made<T>(matrix), product<T>(matrix)},
                [](Table t, Sizes s, Pointers p) {
                  activation_kernels<T>(t).bias_add(s.rows, s.columns, p.of<const float>(0),
                                                    {made_from<T>(p, 1, 2), s.columns},
                                                    {p.of<T>(1), s.columns});
                }),
    activation<T>("bias_gelu",
                  [](Table t, Sizes s, Pointers p) {
                    activate<T>(s, p, activation_kernels<T>(t).bias_gelu);
                  }),
    activation<T>("bias_gelu_erf",
                  [](Table t, Sizes s, Pointers p) {
                    activate<T>(s, p, activation_kernels<T>(t).bias_gelu_erf);
                  }),
    activation<T>("bias_relu",
                  [](Table t, Sizes s, Pointers p) {
                    activate<T>(s, p, activation_kernels<T>(t).bias_relu);
                  }),
    row_pass<T>(
        "gelu_backward",
        {read<T>(matrix, OperandValues::kOnes), made<T>(matrix), written(row), product<T>(matrix)},
        [](Table t, Sizes s, Pointers p) {
          activation_kernels<T>(t).gelu_backward(s.rows, s.columns, {p.of<const T>(0), s.columns},
                                                 {made_from<T>(p, 1, 3), s.columns},
                                                 {p.of<T>(1), s.columns}, p.of<float>(2));
        }),
    // Both inputs are products. In place, floats would shrink to nothing from call to call.
    row_pass<T>("swiglu",
                {kProduct, kProduct, written<T>(matrix), written<T>(slopes), written<T>(slopes)},
                [](Table t, Sizes s, Pointers p) {
                  const std::int64_t n = s.columns;
                  T* const slope = s.variant == 0 ? p.of<T>(3) : nullptr;
                  activation_kernels<T>(t).swiglu(s.rows, n, {p.of<const float>(0), n},
                                                  {p.of<const float>(1), n}, {p.of<T>(2), n},
                                                  {slope, n}, {p.of<T>(4), n});
                },
                {{"slopes", "alone"}}),
    row_pass<T>(
        "swiglu_backward",
        {read<T>(matrix), read<T>(matrix), kProduct, written<T>(matrix), written<T>(matrix)},
        [](Table t, Sizes s, Pointers p) {
          const std::int64_t n = s.columns;
          activation_kernels<T>(t).swiglu_backward(s.rows, n, {p.of<const T>(0), n},
                                                   {p.of<const T>(1), n}, {p.of<const float>(2), n},
                                                   {p.of<T>(3), n}, {p.of<T>(4), n});
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

static_assert(std::size(kRowCases<float>) == kFunctions<RowKernels<float>>);

}  // namespace

template <class T>
Span<const KernelCase> row_cases() {
  return {kRowCases<T>, std::size(kRowCases<T>)};
}
template Span<const KernelCase> row_cases<float>();
template Span<const KernelCase> row_cases<Bf16>();

}  // namespace cllm
