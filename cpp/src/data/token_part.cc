#include "data/token_part.h"

#include <algorithm>
#include <array>

#include "base/sha256.h"
#include "cllm/wording.h"
#include "data/text_look.h"
#include "data/token_scan.h"

namespace cllm {
namespace {

/// int32 token ids are below this.
constexpr std::int64_t kLargestVocabulary = std::int64_t{1} << 31;

}  // namespace

TokenPart::TokenPart(const std::string& path, std::int64_t vocabulary, bool byte_tokens)
    : TokenPart(std::make_unique<DataFile>(path), nullptr, vocabulary, byte_tokens) {}

TokenPart::TokenPart(const MemoryData::Pointer& data, std::int64_t vocabulary)
    : TokenPart(std::make_unique<DataFile>(data), data.get(), vocabulary, false) {}

TokenPart::TokenPart(std::unique_ptr<DataFile> file, const MemoryData* memory,
                     std::int64_t vocabulary, bool byte_tokens)
    : file_(std::move(file)), asked_vocabulary_(vocabulary) {
  if (vocabulary < 0 || vocabulary > kLargestVocabulary) {
    throw InputError({"impossible vocabulary", std::to_string(vocabulary),
                      "1 to " + std::to_string(kLargestVocabulary), option_word("vocab"), ""});
  }
  if (file_->size() == 0) {
    throw InputError({"the file is empty", "0 bytes", "text or tokens", path(),
                      "two bytes of text are enough to train"});
  }
  layout_ = memory != nullptr ? find_tokens(*memory, vocabulary) : find_tokens(*file_, vocabulary);
  if (byte_tokens) layout_.is_bytes = true;
  if (layout_.header) {
    checks_ = std::make_unique<BlockChecks>(*file_, *layout_.header);
  } else if (!is_bytes()) {
    largest_token_ = find_largest_token(*file_, layout_, vocabulary);
  }
  vocabulary_ = vocabulary != 0 ? vocabulary : layout_.vocabulary;
  // Ids in memory are all that there is; a file may be one of several.
  if (vocabulary_ == 0 && memory != nullptr) vocabulary_ = largest_token_ + 1;
  limit_ = static_cast<std::uint64_t>(vocabulary_ != 0 ? vocabulary_ : largest_token_ + 1);
}

template <class T>
void TokenPart::copy_as(std::int64_t offset, std::int64_t count, std::int32_t* out) const {
  // The piece is on the stack, so that any thread may read and nothing is allocated.
  std::array<T, 16384 / sizeof(T)> piece;
  for (std::int64_t done = 0; done < count;) {
    const auto size = std::min(static_cast<std::size_t>(count - done), piece.size());
    const auto at = static_cast<std::uint64_t>(offset + done) * sizeof(T);
    file_->read(layout_.begin + at, piece.data(), size * sizeof(T));
    T largest = 0;
    for (std::size_t i = 0; i < size; ++i) {
      largest = std::max(largest, piece[i]);
      out[static_cast<std::size_t>(done) + i] = static_cast<std::int32_t>(piece[i]);
    }
    if (largest >= limit_) {
      const auto* const first = std::find_if(piece.begin(), piece.begin() + size,
                                             [this](T token) { return token >= limit_; });
      throw_outside(offset + done + (first - piece.begin()), *first);
    }
    done += static_cast<std::int64_t>(size);
  }
}

void TokenPart::copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const {
  if (checks_) {
    const auto at = [this](std::int64_t token) {
      return static_cast<std::uint64_t>(token) * static_cast<std::uint64_t>(layout_.width);
    };
    checks_->check(at(offset), at(offset + count));
  }
  switch (layout_.width) {
    case 1:
      return copy_as<std::uint8_t>(offset, count, out);
    case 2:
      return copy_as<std::uint16_t>(offset, count, out);
    case 4:
      return copy_as<std::uint32_t>(offset, count, out);
    default:
      return copy_as<std::uint64_t>(offset, count, out);
  }
}

void TokenPart::throw_outside(std::int64_t position, std::uint64_t token) const {
  throw DataError(
      ErrorParts{"the data file was written to while it was used: a token is outside "
                 "the vocabulary",
                 std::to_string(token) + " at position " + std::to_string(position),
                 "below " + std::to_string(limit_), path(),
                 "put the file back as it was and go on with " + option_word("resume")});
}

std::string TokenPart::tokenizer() const {
  if (!layout_.header) return "";
  const Sha256Digest& digest = layout_.header->tokenizer;
  const bool known = std::any_of(digest.begin(), digest.end(), [](auto byte) { return byte != 0; });
  return known ? hex(digest) : "";
}

void TokenPart::verify() const {
  if (!layout_.header || file_->size() > kVerifiedAtOnce) return;
  verify_token_file(*file_, *layout_.header);
  checks_->pass_all();
}

std::vector<std::string> TokenPart::notes() const {
  if (!is_bytes()) return {};
  std::vector<std::string> notes;
  if (layout_.width == 1) notes = text_notes(look_at_text(*file_), path());
  if (asked_vocabulary_ > TokenLayout::kByteVocabulary) {
    notes.push_back(option_word("vocab", std::to_string(asked_vocabulary_)) +
                    ": text is read byte by byte and "
                    "has " +
                    std::to_string(TokenLayout::kByteVocabulary) +
                    " tokens; the others are never seen "
                    "and only make the model larger (leave " +
                    option_word("vocab") + " out)");
  }
  return notes;
}

void TokenPart::watch(std::uint64_t hashed_at_once) {
  if (!watch_) watch_ = std::make_unique<DataWatch>(*file_, hashed_at_once);
}

}  // namespace cllm
