// Tests of every backend use these products with known answers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gemm/gemm.h"

namespace cllm::testing {

constexpr GemmForm kGemmForms[] = {GemmForm::kNN, GemmForm::kNT, GemmForm::kTN};

/// These turn a float into an operand, rounded when that is Bf16, and an operand into a number.
template <class T>
T operand(float x);
template <>
inline float operand(float x) {
  return x;
}
template <>
inline Bf16 operand(float x) {
  return to_bf16(x);
}
inline double number(float x) { return static_cast<double>(x); }
inline double number(Bf16 x) { return static_cast<double>(to_float(x)); }
inline double number_as(float x, const float*) { return number(x); }
inline double number_as(float x, const Bf16*) { return number(to_bf16(x)); }
inline double number_as(Bf16 x, const Bf16*) { return number(x); }

/// Holds a matrix inside a larger array: `offset` numbers before it and `gap` after each row hold a
/// filler.
template <class T>
struct MatrixOf {
  std::int64_t rows, columns, ld, offset;
  std::vector<T> floats;

  MatrixOf(std::int64_t r, std::int64_t c, std::int64_t gap, std::int64_t before, float filler)
      : rows(r),
        columns(c),
        ld(c + gap),
        offset(before),
        floats(static_cast<std::size_t>(before + r * ld + 40), operand<T>(filler)) {}
  T* data() { return floats.data() + offset; }
  const T* data() const { return floats.data() + offset; }
  T& at(std::int64_t i, std::int64_t j) { return data()[i * ld + j]; }
  T at(std::int64_t i, std::int64_t j) const { return data()[i * ld + j]; }
  void randomize(std::uint32_t seed) {
    std::uint32_t state = seed * 2654435761u + 1;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        state = state * 1664525u + 1013904223u;
        at(i, j) = operand<T>(static_cast<float>(state >> 8) * 0x1p-24f - 0.5f);
      }
    }
  }
};

using Matrix = MatrixOf<float>;

/// Says whether two matrices hold the same bits, wherever they lie.
inline bool same_bits(const Matrix& a, const Matrix& b) {
  for (std::int64_t i = 0; i < a.rows; ++i) {
    const std::size_t bytes = static_cast<std::size_t>(a.columns) * sizeof(float);
    if (std::memcmp(a.data() + i * a.ld, b.data() + i * b.ld, bytes) != 0) return false;
  }
  return a.rows == b.rows && a.columns == b.columns;
}

/// Holds one product of operands T and S. The numbers around the operands are NaN, which would show
/// in the result; those around the result are canaries.
template <class T, class S = T>
struct GemmCaseOf {
  static constexpr float kCanary = 12345.5f;
  GemmForm form;
  std::int64_t m, n, k;
  bool accumulate;
  MatrixOf<T> a;
  MatrixOf<S> b;
  Matrix c;

  /// Makes a product; `gap` and `before` change where the matrices lie, not what they hold.
  GemmCaseOf(GemmForm f, std::int64_t rows, std::int64_t columns, std::int64_t depth, bool add,
             std::int64_t gap = 0, std::int64_t before = 0)
      : form(f),
        m(rows),
        n(columns),
        k(depth),
        accumulate(add),
        a(f == GemmForm::kTN ? depth : rows, f == GemmForm::kTN ? rows : depth, gap, before,
          std::numeric_limits<float>::quiet_NaN()),
        b(f == GemmForm::kNT ? columns : depth, f == GemmForm::kNT ? depth : columns, gap,
          before + 1, std::numeric_limits<float>::quiet_NaN()),
        c(rows, columns, gap, before + 2, kCanary) {
    a.randomize(1);
    b.randomize(2);
    c.randomize(3);
  }

  /// Returns the arguments for rows [i, i + height) and columns [j, j + width) of the product.
  GemmArgsOf<T, S> args(std::int64_t i, std::int64_t j, std::int64_t height, std::int64_t width) {
    return {form,
            height,
            width,
            k,
            {a.data() + (form == GemmForm::kTN ? i : i * a.ld), a.ld},
            {b.data() + (form == GemmForm::kNT ? j * b.ld : j), b.ld},
            {c.data() + i * c.ld + j, c.ld},
            accumulate};
  }
  GemmArgsOf<T, S> args() { return args(0, 0, m, n); }

  std::string name() const {
    static const char* const kForms[] = {"NN", "NT", "TN"};
    return std::string(kForms[static_cast<int>(form)]) + " " + std::to_string(m) + " x " +
           std::to_string(n) + " x " + std::to_string(k) + (accumulate ? " accumulating" : "") +
           " ld " + std::to_string(a.ld) + " " + std::to_string(b.ld) + " " + std::to_string(c.ld);
  }

  /// Expects `result` (run from `before`) to be within what k roundings can do, and all canaries to
  /// be intact.
  void expect_right(const Matrix& before) const {
    double worst = 0;
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double old = accumulate ? static_cast<double>(before.at(i, j)) : 0.0;
        double sum = old, size = std::fabs(old);
        for (std::int64_t p = 0; p < k; ++p) {
          const double x = number(form == GemmForm::kTN ? a.at(p, i) : a.at(i, p));
          const double y = number_as(form == GemmForm::kNT ? b.at(j, p) : b.at(p, j), a.data());
          sum += x * y;
          size += std::fabs(x * y);
        }
        // Every term goes through at most k + 2 roundings of 2^-24 each, in any order of addition;
        // a product of two Bf16 is a float.
        const double bound = static_cast<double>(k + 2) * 0x1p-24 * size + 1e-30;
        const double ratio = std::fabs(static_cast<double>(c.at(i, j)) - sum) / bound;
        if (!(ratio <= worst)) worst = ratio;  // keeps a NaN
      }
    }
    EXPECT_LE(worst, 1.0) << name();
    for (std::size_t i = 0; i < c.floats.size(); ++i) {
      const std::int64_t place = static_cast<std::int64_t>(i) - c.offset;
      const bool inside = place >= 0 && place < m * c.ld && place % c.ld < n;
      ASSERT_TRUE(inside || c.floats[i] == kCanary) << name() << " wrote at " << place;
    }
  }
};
using GemmCase = GemmCaseOf<float>;

}  // namespace cllm::testing
