// The JSON header of a safetensors file names tensors; every byte must belong to one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

/// Describes a tensor found in a file.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< as the file spells it: "F32", "BF16", "I64", ...
  std::vector<std::int64_t> shape;
  std::int64_t elements = 1;
  std::size_t begin = 0;  ///< first byte in the file
};

constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  // as in the reference reader

/// Returns the tensors in the order of their data, which begins at `data_begin` of the file and
/// ends at `file_size`. Time and memory are linear in the text, except for sorting: no tree is made
/// of it, because it may come from anyone. Throws InputError, naming `file`, unless JSON, types,
/// shapes and byte ranges fit each other and the file, without overlap and without a gap.
std::vector<StoredTensor> parse_safetensors_header(const std::string& file, std::string_view text,
                                                   std::size_t data_begin, std::size_t file_size);

}  // namespace cllm
