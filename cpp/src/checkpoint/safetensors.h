// The safetensors file format: an 8-byte header length, a JSON header, raw little-endian data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cllm {

/// A float tensor to be written.
struct TensorView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* data;  ///< product of shape floats
};

using ByteSink = std::function<void(const void* data, std::size_t size)>;

/// Hands the whole file to `sink`, piece by piece. The bytes are a pure function of names, shapes,
/// order and values (runs are compared by the hash of this file): keys in the order given, data in
/// the same order without gaps, header padded with spaces to a multiple of 8.
void emit_safetensors(const std::vector<TensorView>& tensors, const ByteSink& sink);

/// A tensor found in a file.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< as the file spells it: "F32", "BF16", "I64", ...
  std::vector<std::int64_t> shape;
  std::int64_t elements;
  std::size_t begin;  ///< first byte in the file
};

/// A file mapped for reading. Everything its header says is checked by the constructor: lengths,
/// JSON, types, shapes against byte ranges, ranges against the file, no overlap and no gap. A file
/// that fails gives an InputError naming it, what is wrong, the value seen and the value wanted.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const noexcept { return path_; }
  /// In the order of their data.
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }
  /// nullptr when there is none of that name.
  const StoredTensor* find(const std::string& name) const noexcept;
  /// Converts F32, F16 or BF16 to float; InputError for any other type.
  void read(const StoredTensor& tensor, float* out) const;

 private:
  class Bytes;
  std::string path_;
  std::unique_ptr<Bytes> bytes_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace cllm
