// PackedWeights holds the weights in the order in which products read them. Any free worker copies
// them once a step, or once in a run if they are frozen; without it, a tile of a product packs its
// own part of a weight again for every range of rows.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "cpu/kernel_table.h"
#include "model/layout.h"
#include "model/pass.h"
#include "model/precision.h"
#include "model/tiling.h"

namespace cllm {

/// Packs the weights and finds them. Thread safety: all tiles may be packed at the same time;
/// readers wait for them.
class PackedWeights {
 public:
  /// Says whether packing pays for steps over so many rows. The rule depends on shapes only,
  /// because it decides how tiles are cut. A pass over all weights must save more than it costs in
  /// tiles that would pack them again (it gains 1 to 12 % of a step at 256 rows), and the copies
  /// must be worth their memory. Those of frozen weights may be larger: beside them there are no
  /// gradients and moments.
  static bool pays(const ParameterLayout& layout, Precision precision, std::int64_t rows);

  /// Returns what tiles() would be.
  static std::int32_t tiles_for(const ParameterLayout& layout, Precision precision);
  /// A tile has at most so many numbers; it has more only if one panel's rows have more.
  static constexpr std::int64_t kTileNumbers = 65536;

  PackedWeights(const ParameterLayout& layout, Precision precision);

  /// Returns the number of tiles. A tile is a run of rows of a weight, which is packed both ways
  /// while it lies in the cache.
  std::int32_t tiles() const noexcept { return static_cast<std::int32_t>(tiles_.size()); }
  /// Returns the offset of the weight that a tile is part of.
  std::int64_t weight_of(std::int32_t tile) const noexcept {
    return matrices_[tiles_[static_cast<std::size_t>(tile)].matrix].offset;
  }
  /// Packs what `pass` reads of the tile, from the whole `weight` that it is part of.
  void pack(std::int32_t tile, Pass pass, const float* weight, const KernelTable& kernels) noexcept;

  /// Returns the place of column 0 of a product's B when B begins at element `offset` of the flat
  /// range. That element is in the first row of a weight, at any column (NN), or the first of any
  /// row (NT). REQUIRES: T is what the precision multiplies; the column, or the row in its part, is
  /// a multiple of kPackedColumns.
  template <class T>
  const T* panels(GemmForm form, std::int64_t offset) const noexcept {
    const Matrix& m = matrix_at(offset);
    const bool plain = form == GemmForm::kNN;
    const std::int64_t at = offset - m.offset;
    const std::int64_t column = plain ? at : m.turned_column(at / m.columns);
    const T* const all = reinterpret_cast<const T*>(memory_.data());
    return all + (plain ? m.plain : m.turned) + packed_column<T>(m.depth(form), column);
  }

  std::size_t bytes() const noexcept { return memory_.bytes(); }
  /// Returns the same number without making one.
  static std::size_t bytes_for(const ParameterLayout& layout, Precision precision);

 private:
  /// Describes a weight [rows, columns]. The weight and its transpose are each the B of some
  /// product. The rows may be parts of equal size, by each of which a tile multiplies: the columns
  /// of the transpose are packed for each part alone.
  struct Matrix {
    std::int64_t offset;  ///< in the flat range
    std::int64_t rows, columns;
    GemmForm forward;  ///< the form in a forward pass
    std::int64_t parts;
    std::int64_t plain = 0, turned = 0;  ///< numbers before the packed matrix and its transpose
    std::int64_t part_rows() const noexcept { return rows / parts; }
    /// Returns the place of a row among the columns of the packed transpose.
    std::int64_t turned_column(std::int64_t row) const noexcept {
      const std::int64_t part = row / part_rows();
      return part * ceil_div(part_rows(), kPackedColumns) * kPackedColumns + row % part_rows();
    }
    std::int64_t depth(GemmForm form) const noexcept {
      return form == GemmForm::kNN ? rows : columns;
    }
  };
  struct Tile {
    std::size_t matrix;
    Range rows;  ///< whole panels of the transpose
    /// Returns those rows that it packs plainly, from an even one on: pairs of Bf16 stay together.
    Range plain_rows(const Matrix& m) const noexcept {
      return {rows.begin + rows.begin % 2, std::min(m.rows, rows.end + rows.end % 2)};
    }
  };

  /// Returns the weights in the order of their offsets, and their numbers when packed.
  template <class T>
  static std::vector<Matrix> lay_out(const ParameterLayout& layout, std::int64_t* numbers);
  template <class T>
  void pack_as(const Tile& tile, Pass pass, const float* weight,
               const KernelTable& kernels) noexcept;
  void cut(const ParameterLayout& layout, std::int64_t* numbers);
  const Matrix& matrix_at(std::int64_t offset) const noexcept;

  explicit PackedWeights(Precision precision) : precision_(precision) {}

  const Precision precision_;
  std::vector<Matrix> matrices_;
  std::vector<Tile> tiles_;
  AlignedBuffer<float> memory_;
};

}  // namespace cllm
