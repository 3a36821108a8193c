// The cases of passes over floats, whatever the type of the activations.
#include <algorithm>

#include "cpu/cases/case_lists.h"
#include "cpu/cases/kernel_rows.h"

namespace cllm {
namespace {

using namespace kernel_rows;  // its words make the lists readable

std::size_t size(Sizes s) { return static_cast<std::size_t>(s.rows * s.columns); }

/// Returns a scattered row for each r, as the rows of token embeddings are: an odd stride.
std::int64_t elsewhere(std::int64_t r, std::int64_t rows) { return r * 2654435761 % rows; }

// Every row is linked with the next few, the last ones with the first.
constexpr int kLinks = 12;
double link_operations(Sizes s) { return 2.0 * kLinks * static_cast<double>(s.rows * s.columns); }

template <class Call>
void for_linked_rows(Sizes s, Call call) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    RowLink links[kLinks];
    for (int l = 0; l < kLinks; ++l) {
      links[l] = {static_cast<std::int32_t>((r + 1 + l) % s.rows - r), l};
    }
    call(r * s.columns, links);
  }
}

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
    work<float>(
        KernelShape::kRows, "linked_sum",
        {read(matrix), read([](Table, Sizes) { return std::int64_t{kLinks}; }), written(matrix)},
        link_operations,
        [](Table t, Sizes s, Pointers p) {
          for_linked_rows(s, [&](std::int64_t at, const RowLink* links) {
            t.linked_sum(s.columns, kLinks, links, p.of<const float>(1), p.of<const float>(0) + at,
                         p.of<float>(2) + at);
          });
        }),
    work<float>(
        KernelShape::kRows, "linked_dots",
        {read(matrix), read(matrix), written([](Table, Sizes) { return std::int64_t{kLinks}; })},
        link_operations,
        [](Table t, Sizes s, Pointers p) {
          double sums[kLinks] = {};
          for_linked_rows(s, [&](std::int64_t at, const RowLink* links) {
            t.linked_dots(s.columns, kLinks, links, p.of<const float>(0) + at,
                          p.of<const float>(1) + at, sums);
          });
          std::copy(sums, sums + kLinks, p.of<float>(2));
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

static_assert(std::size(kFloatCases) == kFunctions<FloatKernels>);

}  // namespace

Span<const KernelCase> float_cases() { return {kFloatCases, std::size(kFloatCases)}; }

}  // namespace cllm
