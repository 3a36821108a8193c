// The JSON header of a safetensors file: which tensors it names, and that every byte is one's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

/// A tensor found in a file.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< as the file spells it: "F32", "BF16", "I64", ...
  std::vector<std::int64_t> shape;
  std::int64_t elements = 1;
  std::size_t begin = 0;  ///< first byte in the file
};

constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  // the limit of the reference reader

/// The tensors in the order of their data, which begins at `data_begin` of the file and ends at
/// `file_size`. Time and memory are linear in the text, but for sorting: no tree is made of it, and
/// it may come from anyone. Throws InputError, naming `file`, unless JSON, types, shapes and byte
/// ranges fit each other and the file, without overlap and without a gap.
std::vector<StoredTensor> parse_safetensors_header(const std::string& file, std::string_view text,
                                                   std::size_t data_begin, std::size_t file_size);

}  // namespace cllm
