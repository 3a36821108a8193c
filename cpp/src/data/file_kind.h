// What a file is by its bytes: text and token files that can be trained on, and files that only
// look as if they could, because everything is bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"

namespace cllm {

enum class FileKind {
  kUnknown,     ///< no known mark: text, or tokens without a header
  kCllmTokens,  ///< data/token_file.h
  kLlmcTokens,  ///< llm.c's shards, 16 or 32 bits a token
  kNumpy,       ///< an array of NumPy
  kForeign,     ///< nothing that can be trained on as it is
};

struct FileLook {
  FileKind kind = FileKind::kUnknown;
  const char* name = "";    ///< what the file is, with its article: "a zip archive"
  const char* advice = "";  ///< what to do about a foreign one
  /// The mark is so short that among files of 16-bit tokens one in thousands begins with it.
  bool weak = false;
};

/// Bytes of the start and of the end that look_at() wants to see.
constexpr std::size_t kHeadBytes = 512;
constexpr std::size_t kTailBytes = 8;

/// `head` and `tail` are the first kHeadBytes and the last kTailBytes of a file of `size` bytes, or
/// all of it where it is shorter.
FileLook look_at(Span<const std::byte> head, Span<const std::byte> tail, std::uint64_t size);

}  // namespace cllm
