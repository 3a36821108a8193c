#include "model/tensor_table.h"

#include <algorithm>
#include <utility>

namespace cllm {

std::int64_t TensorTable::add(std::string name, std::vector<std::int64_t> shape,
                              Initialization initialization, bool frozen) {
  std::int64_t size = 1;
  for (std::int64_t n : shape) size *= n;
  const std::int64_t offset = flat_size_;
  const auto tensor = static_cast<std::int32_t>(tensors_.size());
  const bool decays = shape.size() >= 2;
  tensors_.push_back(
      {std::move(name), std::move(shape), offset, size, initialization, decays, frozen});
  for (std::int64_t i = 0; i < size; i += kBlockSize) {
    blocks_.push_back({tensor, offset + i, std::min(kBlockSize, size - i)});
  }
  parameters_ += size;
  flat_size_ = (offset + size + 15) / 16 * 16;
  return offset;
}

}  // namespace cllm
