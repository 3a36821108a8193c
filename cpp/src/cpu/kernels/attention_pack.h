// Attention lays out its operands in scratch, for floats and for Bf16, counted in cells.
//
// A product takes A by rows of cells along k, and B as cells along k by columns. For floats a
// matrix [rows, D] is both as it stands; for Bf16 its pairs lie along D or along the rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/kernels/micro.h"
#include "cpu/kernels/pack.h"

namespace cllm {
namespace {

// Queries and keys are cut in blocks of 64 that start at multiples of 64 in every call, so that the
// order of every sum depends on the row alone. A 64 x 64 tile of scores is 16 KiB and stays in L1
// from the product that makes it to the products that use it. Blocks of 128 are equally fast at
// D = 64 and 1 to 3 % slower at D = 32.
constexpr std::int64_t kBlock = 64;
static_assert(kBlock % kMicroColumns == 0 && kMicroRows % 2 == 0);

/// Returns the cells between packed rows of n cells: whole vectors, so that no tile has a tail.
constexpr std::int64_t padded_width(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
constexpr std::int64_t block_count(std::int64_t length) { return (length + kBlock - 1) / kBlock; }

/// Deals out parts of the scratch, each on a cache line of its own.
class ScratchParts {
 public:
  explicit ScratchParts(float* scratch)
      : next_(scratch +
              (64 - reinterpret_cast<std::uintptr_t>(scratch) % 64) % 64 / sizeof(float)) {}
  template <class T>
  T* take(std::int64_t count_of_cells) {
    float* const part = next_;
    next_ += rounded(count_of_cells);
    return reinterpret_cast<T*>(part);
  }
  static constexpr std::int64_t rounded(std::int64_t floats) { return (floats + 15) / 16 * 16; }

 private:
  float* next_;
};

/// Sets to[rows, padded cells of D] = from[rows, D], zeros beyond D: A, or B when T is float.
inline void pack_rows(std::int64_t rows, std::int64_t head_width, const float* from,
                      std::int64_t ld_from, float* to) {
  for (std::int64_t r = 0; r < rows; ++r, from += ld_from) {
    std::int64_t c = 0;
    for (; c + kLanes <= head_width; c += kLanes, to += kLanes) store(to, load(from + c));
    if (c < head_width) {
      store(to, load_partial(from + c, static_cast<int>(head_width - c)));
      to += kLanes;
    }
  }
}

inline void pack_rows(std::int64_t rows, std::int64_t head_width, const Bf16* from,
                      std::int64_t ld_from, Bf16* to) {
  constexpr std::int64_t kStep = 2 * kLanes;
  for (std::int64_t r = 0; r < rows; ++r, from += ld_from) {
    std::int64_t c = 0;
    for (; c + kStep <= head_width; c += kStep, to += kStep) {
      store_pairs(to, load_pairs(from + c));
    }
    if (c < head_width) {
      store_pairs(to, load_pairs_partial(from + c, static_cast<int>(head_width - c)));
      to += kStep;
    }
  }
}

/// Sets to[cells of rows, padded D] = from[rows, D], with zeros for columns that do not exist and
/// for the other half of a last pair: B of a product whose k is the rows.
inline void pack_keyed_rows(std::int64_t rows, std::int64_t head_width, const float* from,
                            std::int64_t ld_from, float* to) {
  pack_rows(rows, head_width, from, ld_from, to);
}

inline void pack_keyed_rows(std::int64_t rows, std::int64_t head_width, const Bf16* from,
                            std::int64_t ld_from, Bf16* to) {
  for (std::int64_t r = 0; r + 1 < rows; r += 2, from += 2 * ld_from) {
    std::int64_t c = 0;
    for (; c + kLanes <= head_width; c += kLanes, to += 2 * kLanes) {
      store_pairs(to, zip(from + c, from + ld_from + c));
    }
    if (c < head_width) {
      const int tail = static_cast<int>(head_width - c);
      store_pairs(to, zip_partial(from + c, from + ld_from + c, tail));
      to += 2 * kLanes;
    }
  }
  if (rows % 2 == 0) return;
  for (std::int64_t c = 0; c < head_width; c += kLanes, to += 2 * kLanes) {
    const int tail = static_cast<int>(std::min<std::int64_t>(kLanes, head_width - c));
    store_pairs(to, zip(load_partial(from + c, tail), zero()));
  }
}

/// Packs from[rows, D] as B of a product whose k is D: panels [cells of D][kMicroColumns], where
/// each row becomes a column.
inline void pack_columns(std::int64_t rows, std::int64_t head_width, const float* from,
                         std::int64_t ld_from, float* panels) {
  pack_panels_transposed(head_width, rows, MatrixView<const float>{from, ld_from}, panels,
                         head_width * kMicroColumns);
}

inline void pack_columns(std::int64_t rows, std::int64_t head_width, const Bf16* from,
                         std::int64_t ld_from, Bf16* panels) {
  const std::int64_t depth = cells<Bf16>(head_width);
  for (std::int64_t j = 0; j < rows; j += kLanes) {
    Bf16* const out = panels + 2 * (j / kMicroColumns * depth * kMicroColumns + j % kMicroColumns);
    const std::int64_t some = std::min<std::int64_t>(kLanes, rows - j);
    const Bf16* const in = from + j * ld_from;
    for (std::int64_t c = 0; c < head_width; c += 2 * kLanes) {
      const int numbers = static_cast<int>(std::min<std::int64_t>(2 * kLanes, head_width - c));
      V square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        square[i] = i >= some ? zero()
                    : numbers == 2 * kLanes
                        ? as_floats(load_pairs(in + i * ld_from + c))
                        : as_floats(load_pairs_partial(in + i * ld_from + c, numbers));
      }
      transpose(square);
      for (int i = 0; i < cells<Bf16>(numbers); ++i) {
        store_pairs(out + 2 * (c / 2 + i) * kMicroColumns, as_pairs(square[i]));
      }
    }
  }
}

/// Sets to[rows, D] = factor * from[rows, padded D]; the factor is factors[r], or `factor` if null.
template <class T>
void unpack_rows(std::int64_t rows, std::int64_t head_width, const float* from,
                 const float* factors, float factor, T* to, std::int64_t ld_to) {
  for (std::int64_t r = 0; r < rows; ++r, to += ld_to) {
    const V f = set1(factors != nullptr ? factors[r] : factor);
    std::int64_t c = 0;
    for (; c + kLanes <= head_width; c += kLanes, from += kLanes) {
      store(to + c, mul(f, load(from)));
    }
    if (c < head_width) {
      store_partial(to + c, mul(f, load(from)), static_cast<int>(head_width - c));
      from += kLanes;
    }
  }
}

}  // namespace
}  // namespace cllm
