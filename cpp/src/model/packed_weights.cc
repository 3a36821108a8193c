#include "model/packed_weights.h"

#include <algorithm>

namespace cllm {
namespace {

constexpr std::size_t floats_for(std::int64_t numbers, Precision precision) {
  return static_cast<std::size_t>(precision == Precision::kBf16 ? (numbers + 1) / 2 : numbers);
}

}  // namespace

bool PackedWeights::pays(const ParameterLayout& layout, Precision precision, std::int64_t rows) {
  constexpr std::int64_t kFewestRows = 256;
  constexpr std::size_t kMostBytes = std::size_t{512} << 20, kMostFrozenBytes = 4 * kMostBytes;
  return rows >= kFewestRows &&
         bytes_for(layout, precision) <= (layout.adapted() ? kMostFrozenBytes : kMostBytes);
}

template <class T>
std::vector<PackedWeights::Matrix> PackedWeights::lay_out(const ParameterLayout& layout,
                                                          std::int64_t* numbers) {
  std::vector<Matrix> matrices;
  for (const Linear& linear : layout.network().linears()) {
    matrices.push_back(
        {linear.weight, linear.rows(), linear.columns(), linear.forward_form(), linear.parts()});
  }
  std::sort(matrices.begin(), matrices.end(),
            [](const Matrix& a, const Matrix& b) { return a.offset < b.offset; });
  *numbers = 0;
  for (Matrix& m : matrices) {
    m.plain = *numbers;
    m.turned = m.plain + packed_size<T>(m.rows, m.columns);
    *numbers = m.turned + m.parts * packed_size<T>(m.columns, m.part_rows());
  }
  return matrices;
}

PackedWeights::PackedWeights(const ParameterLayout& layout, Precision precision)
    : PackedWeights(precision) {
  std::int64_t numbers = 0;
  cut(layout, &numbers);
  memory_ = AlignedBuffer<float>(floats_for(numbers, precision));
}

void PackedWeights::cut(const ParameterLayout& layout, std::int64_t* numbers) {
  matrices_ = precision_ == Precision::kBf16 ? lay_out<Bf16>(layout, numbers)
                                             : lay_out<float>(layout, numbers);
  for (std::size_t i = 0; i < matrices_.size(); ++i) {
    const Matrix& m = matrices_[i];
    const std::int64_t panels = kTileNumbers / m.columns / kPackedColumns;
    const std::int64_t some = std::max<std::int64_t>(1, panels) * kPackedColumns;
    for (std::int64_t part = 0; part < m.rows; part += m.part_rows()) {
      const std::int64_t end = part + m.part_rows();
      for (std::int64_t j = part; j < end; j += some) {
        tiles_.push_back({i, {j, std::min(end, j + some)}});
      }
    }
  }
}

std::size_t PackedWeights::bytes_for(const ParameterLayout& layout, Precision precision) {
  std::int64_t numbers = 0;
  PackedWeights(precision).cut(layout, &numbers);
  return sizeof(float) * floats_for(numbers, precision);
}

std::int32_t PackedWeights::tiles_for(const ParameterLayout& layout, Precision precision) {
  std::int64_t numbers = 0;
  PackedWeights counting(precision);
  counting.cut(layout, &numbers);
  return counting.tiles();
}

const PackedWeights::Matrix& PackedWeights::matrix_at(std::int64_t offset) const noexcept {
  const auto after =
      std::upper_bound(matrices_.begin(), matrices_.end(), offset,
                       [](std::int64_t at, const Matrix& m) { return at < m.offset; });
  return *(after - 1);
}

void PackedWeights::pack(std::int32_t tile, Pass pass, const float* weight,
                         const KernelTable& kernels) noexcept {
  const Tile& t = tiles_[static_cast<std::size_t>(tile)];
  if (precision_ == Precision::kBf16) {
    pack_as<Bf16>(t, pass, weight, kernels);
  } else {
    pack_as<float>(t, pass, weight, kernels);
  }
}

template <class T>
void PackedWeights::pack_as(const Tile& tile, Pass pass, const float* weight,
                            const KernelTable& kernels) noexcept {
  const Matrix& m = matrices_[tile.matrix];
  const auto row = [&](std::int64_t r) { return weight + r * m.columns; };
  const auto panels_at = [this](GemmForm form, std::int64_t at) {
    return const_cast<T*>(panels<T>(form, at));
  };
  const auto pack_weight = product_kernels<T>(kernels).pack_weight;
  if (pass != Pass::kForward || m.forward == GemmForm::kNN) {
    const Range rows = tile.plain_rows(m);
    if (rows.size() > 0) {
      pack_weight({GemmForm::kNN,
                   rows.size(),
                   m.columns,
                   {row(rows.begin), m.columns},
                   panels_at(GemmForm::kNN, m.offset),
                   m.rows,
                   rows.begin});
    }
  }
  if (pass != Pass::kForward || m.forward == GemmForm::kNT) {
    pack_weight({GemmForm::kNT,
                 m.columns,
                 tile.rows.size(),
                 {row(tile.rows.begin), m.columns},
                 panels_at(GemmForm::kNT, m.offset + tile.rows.begin * m.columns),
                 m.columns});
  }
}

}  // namespace cllm
