#include "model/tensor_table.h"

#include <algorithm>
#include <utility>

namespace cllm {
namespace {

std::int64_t aligned(std::int64_t offset) { return (offset + 15) / 16 * 16; }

}  // namespace

std::int64_t TensorTable::add(std::string name, std::vector<std::int64_t> shape,
                              Initialization initialization, bool frozen) {
  const std::int64_t offset = flat_size_;
  append({std::move(name), std::move(shape)}, initialization, frozen);
  flat_size_ = aligned(flat_size_);
  return offset;
}

std::int64_t TensorTable::add(std::vector<TensorPart> parts, Initialization initialization) {
  const std::int64_t offset = flat_size_;
  for (TensorPart& part : parts) append(std::move(part), initialization, false);
  flat_size_ = aligned(flat_size_);
  return offset;
}

void TensorTable::append(TensorPart part, Initialization initialization, bool frozen) {
  std::int64_t size = 1;
  for (std::int64_t n : part.shape) size *= n;
  const auto tensor = static_cast<std::int32_t>(tensors_.size());
  const bool decays = part.shape.size() >= 2;
  for (std::int64_t i = 0; i < size; i += kBlockSize) {
    blocks_.push_back({tensor, flat_size_ + i, std::min(kBlockSize, size - i)});
  }
  tensors_.push_back({std::move(part.name), std::move(part.shape), flat_size_, size, initialization,
                      decays, frozen});
  parameters_ += size;
  flat_size_ += size;
}

std::int64_t TensorTable::add_coupling(std::string name, std::int64_t size) {
  const std::int64_t offset = add(std::move(name), {size}, Initialization::kZeros);
  tensors_.back().coupling = true;
  parameters_ -= size;
  return offset;
}

}  // namespace cllm
