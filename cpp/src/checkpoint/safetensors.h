// A safetensors file has an 8-byte header length, a JSON header, and raw little-endian data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/weight_type.h"

namespace cllm {

/// Describes a float tensor to be written.
struct TensorView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* data;  ///< product of shape floats
};

using ByteSink = std::function<void(const void* data, std::size_t size)>;

/// Hands the whole file to `sink`, piece by piece. The bytes are a pure function of names, shapes,
/// order and values, because runs are compared by the hash of this file: keys come in the order
/// given, data in the same order without gaps, and the header is padded with spaces to a multiple
/// of 8. Numbers are rounded to `type`. Throws InputError for a finite one that this makes
/// infinite.
void emit_safetensors(const std::vector<TensorView>& tensors, const ByteSink& sink,
                      WeightType type = WeightType::kFloat32);

/// Holds a file open for reading. The constructor checks everything that its header says: lengths,
/// JSON, types, shapes against byte ranges, ranges against the file, no overlap and no gap. If a
/// check fails, it throws InputError naming the file, what is wrong, the value seen and the value
/// wanted. The file is read, not mapped: if it is cut meanwhile, or a disk fails, that is an error.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  /// Returns the tensors in the order of their data.
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }
  /// Returns the tensor of that name, nullptr if there is none.
  const StoredTensor* find(const std::string& name) const noexcept;
  /// Converts F32, F16 or BF16 to float; throws InputError for any other type.
  void read(const StoredTensor& tensor, float* out) const;

 private:
  void read_bytes(std::size_t begin, void* out, std::size_t size) const;

  std::string path_;
  FileDescriptor file_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::uint32_t> by_name_;  // indices into tensors_
};

}  // namespace cllm
