// Arrays at the edge of the library are a model's tensors in place, and a caller's tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cllm {

/// Refers to a tensor in place. It shares the ownership of its memory, so it may outlive the object
/// that it came from.
template <class T>
struct TensorRef {
  std::string name;  ///< as in model.safetensors
  std::vector<std::int64_t> shape;
  std::shared_ptr<T> data;  ///< rows one after another
};
using Tensor = TensorRef<float>;
using ConstTensor = TensorRef<const float>;

/// Holds token ids of a caller: [sequences, length], rows one after another.
struct TokenArray {
  const std::int32_t* data = nullptr;
  std::int64_t sequences = 0;
  std::int64_t length = 0;
};

}  // namespace cllm
