// The bytes of a file tell its kind: text and token files that can be trained on, and others.
// Everything is bytes, so those others only look as if they could be trained on.
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
  kForeign,     ///< cannot be trained on as it is
};

struct FileLook {
  FileKind kind = FileKind::kUnknown;
  const char* name = "";    ///< what the file is, with an article: "a zip archive"
  const char* advice = "";  ///< what to do about a foreign file
  /// The mark is so short that, among files of 16-bit tokens, one in thousands begins with it.
  bool weak = false;
};

/// look_at() wants to see this many bytes of the start and of the end.
constexpr std::size_t kHeadBytes = 512;
constexpr std::size_t kTailBytes = 8;

/// Tells a file of `size` bytes by its first kHeadBytes (`head`) and its last kTailBytes (`tail`),
/// or all of it where it is shorter.
FileLook look_at(Span<const std::byte> head, Span<const std::byte> tail, std::uint64_t size);

}  // namespace cllm
