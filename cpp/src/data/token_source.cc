#include "data/token_source.h"

#include <algorithm>
#include <cstring>

#include "cllm/error.h"

namespace cllm {
namespace {

constexpr std::uint32_t kLlmcMagic = 20240520;
constexpr std::size_t kLlmcHeader = 256 * sizeof(std::int32_t);

/// Beyond what int32 token ids can tell apart.
constexpr std::int64_t kLargestVocabulary = std::int64_t{1} << 31;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::uint32_t word(const std::byte* at) {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void widen(const std::byte* from, std::int64_t count, std::int32_t* out) noexcept {
  for (std::int64_t i = 0; i < count; ++i) {
    T token;
    std::memcpy(&token, from + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    out[i] = static_cast<std::int32_t>(token);
  }
}

}  // namespace

TokenSource::TokenSource(const std::string& path, std::int64_t vocabulary)
    : path_(path), file_(path) {
  if (vocabulary < 0 || vocabulary > kLargestVocabulary) {
    throw InputError({"impossible vocabulary", std::to_string(vocabulary),
                      "1 to " + std::to_string(kLargestVocabulary), "--vocab", ""});
  }
  if (file_.size() == 0) {
    throw InputError({"the file is empty", "0 bytes", "text or tokens", path_,
                      "two bytes of text are enough to train"});
  }
  if (has_token_file_magic({file_.data(), file_.size()})) {
    open_token_file(vocabulary);
  } else if (file_.size() >= 4 && word(file_.data()) == kLlmcMagic) {
    open_llmc_shard();
    find_largest_token(vocabulary);
  } else if (ends_with(path_, ".bin")) {
    open_headerless(vocabulary);
    find_largest_token(vocabulary);
  } else {
    open_text(vocabulary);
  }
  if (vocabulary != 0) vocabulary_ = vocabulary;
  if (size_ == 0) {
    throw InputError({"the token file holds no tokens", "", "", path_, "prepare it from a text"});
  }
}

void TokenSource::open_token_file(std::int64_t vocabulary) {
  header_ = decode_token_file_header({file_.data(), file_.size()}, path_);
  kind_ = "CLLM tokens";
  tokens_ = file_.data() + TokenFileHeader::kBytes;
  width_ = static_cast<int>(header_->width);
  size_ = static_cast<std::int64_t>(header_->count);
  vocabulary_ = static_cast<std::int64_t>(header_->vocabulary);
  text_bytes_ = static_cast<std::int64_t>(header_->text_bytes);
  if (vocabulary != 0 && vocabulary < vocabulary_) {
    throw InputError({"the vocabulary is smaller than that of the tokens",
                      "--vocab " + std::to_string(vocabulary),
                      "at least " + std::to_string(vocabulary_), path_,
                      "leave --vocab out: this file knows its vocabulary"});
  }
}

void TokenSource::open_llmc_shard() {
  kind_ = "llm.c shard";
  if (file_.size() < kLlmcHeader) {
    throw InputError({"llm.c shard without a whole header", std::to_string(file_.size()) + " bytes",
                      "at least " + std::to_string(kLlmcHeader), path_,
                      "the file is cut short: copy it again"});
  }
  const std::uint32_t version = word(file_.data() + 4);
  if (version != 1) {
    throw InputError({"llm.c shard of a version this program does not read",
                      std::to_string(version), "1 (uint16 tokens)", path_,
                      "write the shard again with version 1"});
  }
  const std::uint32_t count = word(file_.data() + 8);
  const std::size_t room = file_.size() - kLlmcHeader;
  if (std::size_t{count} * 2 != room) {
    throw InputError({"the llm.c shard does not hold the tokens its header counts",
                      std::to_string(room) + " bytes after the header",
                      std::to_string(std::size_t{count} * 2) + " for " + std::to_string(count) +
                          " tokens of 2 bytes",
                      path_, "the file is damaged or cut short: copy or write it again"});
  }
  tokens_ = file_.data() + kLlmcHeader;
  width_ = 2;
  size_ = count;
}

void TokenSource::open_headerless(std::int64_t vocabulary) {
  kind_ = "uint16 tokens";
  if (vocabulary == 0) {
    throw InputError(
        {"a .bin file without a header is read as uint16 tokens, and nothing in it "
         "tells how many different tokens there are",
         "no --vocab", "--vocab N", path_,
         "give the tokenizer's vocabulary, such as --vocab 50257 for GPT-2; if the "
         "file is text, rename it to .txt"});
  }
  if (file_.size() % 2 != 0) {
    throw InputError({"a .bin file of uint16 tokens has an odd number of bytes",
                      std::to_string(file_.size()) + " bytes", "2 bytes a token", path_,
                      "the file is cut short, or is something else: if it is text, rename it to "
                      ".txt"});
  }
  tokens_ = file_.data();
  width_ = 2;
  size_ = static_cast<std::int64_t>(file_.size() / 2);
}

void TokenSource::open_text(std::int64_t vocabulary) {
  kind_ = "text";
  tokens_ = file_.data();
  width_ = 1;
  size_ = static_cast<std::int64_t>(file_.size());
  vocabulary_ = kByteVocabulary;
  text_bytes_ = size_;
  if (vocabulary != 0 && vocabulary < kByteVocabulary) {
    throw InputError({"text is read byte by byte, which needs every byte and an end-of-text token",
                      "--vocab " + std::to_string(vocabulary),
                      "at least " + std::to_string(kByteVocabulary), path_,
                      "leave --vocab out: it is for token files"});
  }
}

void TokenSource::find_largest_token(std::int64_t vocabulary) {
  const auto at = [this](std::int64_t i) {
    std::uint16_t token = 0;
    std::memcpy(&token, tokens_ + 2 * i, sizeof token);
    return token;
  };
  std::uint16_t largest = 0;  // a 16-bit running maximum is what compilers vectorise
  for (std::int64_t i = 0; i < size_; ++i) largest = std::max(largest, at(i));
  largest_token_ = largest;
  if (vocabulary == 0 || largest < vocabulary) return;
  std::int64_t first = 0;
  while (at(first) < vocabulary) ++first;
  throw InputError({"token outside the vocabulary",
                    std::to_string(at(first)) + " at position " + std::to_string(first) +
                        " with --vocab " + std::to_string(vocabulary),
                    "tokens below " + std::to_string(vocabulary), path_,
                    "the smallest that works is --vocab " + std::to_string(largest_token_ + 1) +
                        "; give the tokenizer's own size"});
}

void TokenSource::copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const noexcept {
  const std::byte* from = tokens_ + offset * width_;
  switch (width_) {
    case 1:
      return widen<std::uint8_t>(from, count, out);
    case 2:
      return widen<std::uint16_t>(from, count, out);
    default:
      return widen<std::uint32_t>(from, count, out);
  }
}

void TokenSource::verify() const {
  if (header_) verify_token_file({file_.data(), file_.size()}, *header_, path_);
}

}  // namespace cllm
