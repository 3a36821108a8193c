// A text look says what a careful reader would say of a text before it is trained on as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/data_file.h"

namespace cllm {

/// Holds counts over the bytes that were looked at.
struct TextLook {
  std::uint64_t bytes = 0;
  std::uint64_t foreign = 0;       ///< bytes from 128 on that are in no UTF-8 sequence
  std::uint64_t beyond_ascii = 0;  ///< bytes from 128 on
  std::uint64_t nuls = 0;
  std::uint64_t controls = 0;    ///< below 32 but no space, and 127; without NULs
  std::uint64_t markers = 0;     ///< "<|endoftext|>"
  bool byte_order_mark = false;  ///< of UTF-8, at the start
  bool whole = true;             ///< all of the file was looked at

  bool mostly_not_utf8() const noexcept { return foreign >= 8 && 2 * foreign > beyond_ascii; }
  bool full_of_nuls() const noexcept { return nuls >= 8 && 100 * nuls > bytes; }
  /// Says whether it is UTF-8 and contains nothing that no text has.
  bool is_plain_text() const noexcept { return foreign == 0 && nuls == 0 && controls == 0; }
};

/// Looks at all of a file of up to 64 MiB; of a larger one at 64 pieces of 1 MiB, spread evenly.
TextLook look_at_text(const DataFile& file);
TextLook look_at_text(Span<const std::byte> bytes);

/// Returns one sentence for each thing that the user should know.
std::vector<std::string> text_notes(const TextLook& look, const std::string& path);

}  // namespace cllm
