// A matrix for kernel tests has rows that lie further apart than they are wide. What lies between
// must stay as it is.
#pragma once

#include "base/matrix_view.h"
#include "kernel_testing.h"

namespace cllm {

struct GappedMatrix {
  GappedMatrix(std::int64_t rows_, std::int64_t columns_, int placement, unsigned seed,
               float scale = 2.0f)
      : rows(rows_),
        columns(columns_),
        ld(columns_ + kGap),
        data((rows_ - 1) * ld + columns_, placement) {
    fill(data, seed, scale);
    for (std::int64_t r = 0; r + 1 < rows; ++r) {
      for (std::int64_t i = columns; i < ld; ++i) data[r * ld + i] = kBetween;
    }
  }
  float& at(std::int64_t r, std::int64_t i) { return data[r * ld + i]; }
  bool intact() {
    for (std::int64_t r = 0; r + 1 < rows; ++r) {
      for (std::int64_t i = columns; i < ld; ++i) {
        if (data[r * ld + i] != kBetween) return false;
      }
    }
    return data.intact();
  }
  MatrixView<float> view() { return {data.data(), ld}; }
  /// Returns the elements without what lies between, row by row.
  std::vector<double> doubles() {
    std::vector<double> all;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t i = 0; i < columns; ++i) all.push_back(double{at(r, i)});
    }
    return all;
  }

  static constexpr std::int64_t kGap = 3;
  static constexpr float kBetween = 777.0f;
  std::int64_t rows, columns, ld;
  GuardedFloats data;
};

}  // namespace cllm
