// A MatrixView says where a row-major matrix lies; its owner and its size are known elsewhere.
#pragma once

#include <cstdint>
#include <type_traits>

namespace cllm {

template <class T>
struct MatrixView {
  T* data;              ///< the element in the first row and column
  std::int64_t stride;  ///< distance between rows, in elements

  /// Returns the view that begins at another element.
  constexpr MatrixView at(std::int64_t row, std::int64_t column) const noexcept {
    return {data + row * stride + column, stride};
  }
  constexpr T* row(std::int64_t index) const noexcept { return data + index * stride; }

  /// A matrix may be read where it may be written.
  template <class U = T, class = std::enable_if_t<!std::is_const_v<U>>>
  constexpr operator MatrixView<const U>() const noexcept {
    return {data, stride};
  }
};

}  // namespace cllm
