#include "data/token_layout.h"

#include "cllm/wording.h"
#include "data/text_look.h"

namespace cllm {
namespace {

constexpr std::uint32_t kLongMagic = 20240801;  // version 7: uint32 tokens, as for Llama 3
constexpr std::size_t kLlmcHeader = 256 * sizeof(std::int32_t);

/// 16 bits can tell this many tokens apart.
constexpr std::int64_t kShortVocabulary = 65536;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

TokenLayout find_cllm_tokens(const DataFile& file, std::int64_t vocabulary) {
  TokenLayout layout;
  layout.header =
      decode_token_file_header(file.head(TokenFileHeader::kBytes), file.size(), file.path());
  layout.kind = "CLLM tokens";
  layout.begin = TokenFileHeader::kBytes;
  layout.width = static_cast<int>(layout.header->width);
  layout.count = static_cast<std::int64_t>(layout.header->count);
  layout.vocabulary = static_cast<std::int64_t>(layout.header->vocabulary);
  layout.text_bytes = static_cast<std::int64_t>(layout.header->text_bytes);
  if (vocabulary != 0 && vocabulary < layout.vocabulary) {
    throw InputError({"the vocabulary is smaller than that of the tokens",
                      option_word("vocab", std::to_string(vocabulary)),
                      "at least " + std::to_string(layout.vocabulary), file.path(),
                      "leave " + option_word("vocab") + " out: this file knows its vocabulary"});
  }
  return layout;
}

TokenLayout find_llmc_tokens(const DataFile& file) {
  if (file.size() < kLlmcHeader) {
    throw InputError({"llm.c shard without a whole header", std::to_string(file.size()) + " bytes",
                      "at least " + std::to_string(kLlmcHeader), file.path(),
                      "the file is cut short: copy it again"});
  }
  std::uint32_t words[3];  // magic, version, count
  file.read(0, words, sizeof words);
  const bool is_long = words[0] == kLongMagic;
  const std::uint32_t known = is_long ? 7 : 1;
  if (words[1] != known) {
    throw InputError({"llm.c shard of a version this program does not read",
                      std::to_string(words[1]),
                      std::to_string(known) + (is_long ? " (uint32 tokens)" : " (uint16 tokens)"),
                      file.path(), "write the shard again with version " + std::to_string(known)});
  }
  TokenLayout layout;
  layout.kind = is_long ? "llm.c shard of 32-bit tokens" : "llm.c shard";
  layout.begin = kLlmcHeader;
  layout.width = is_long ? 4 : 2;
  layout.count = words[2];
  if (layout.end() != file.size()) {
    throw InputError({"the llm.c shard does not hold the tokens its header counts",
                      std::to_string(file.size() - kLlmcHeader) + " bytes after the header",
                      std::to_string(layout.end() - kLlmcHeader) + " for " +
                          std::to_string(words[2]) + " tokens of " + std::to_string(layout.width) +
                          " bytes",
                      file.path(), "the file is damaged or cut short: copy or write it again"});
  }
  return layout;
}

/// This many bytes of tokens cannot look like UTF-8 by chance.
constexpr std::uint64_t kEnoughText = 64;

TokenLayout find_headerless_tokens(const DataFile& file, std::int64_t vocabulary) {
  if (file.size() >= kEnoughText && look_at_text(file.head(65536)).is_plain_text()) {
    throw InputError({"a .bin file is read as uint16 tokens, and this one is text", "",
                      "tokens, or another name", file.path(), "rename it to .txt"});
  }
  if (vocabulary == 0) {
    throw InputError(
        {"a .bin file without a header is read as uint16 tokens, and nothing in it "
         "tells how many different tokens there are",
         "no " + option_word("vocab"), option_word("vocab", "N"), file.path(),
         "give the tokenizer's vocabulary, such as " + option_word("vocab", "50257") +
             " for GPT-2; if the file is text, rename it to .txt"});
  }
  if (file.size() % 2 != 0) {
    throw InputError({"a .bin file of uint16 tokens has an odd number of bytes",
                      std::to_string(file.size()) + " bytes", "2 bytes a token", file.path(),
                      "the file is cut short, or is something else: if it is text, rename it to "
                      ".txt"});
  }
  TokenLayout layout;
  layout.kind = "uint16 tokens";
  layout.width = 2;
  layout.count = static_cast<std::int64_t>(file.size() / 2);
  layout.guessed = true;
  return layout;
}

/// Returns the layout of `bytes` bytes of text.
TokenLayout find_text(const std::string& path, std::uint64_t bytes, std::int64_t vocabulary) {
  if (vocabulary != 0 && vocabulary < TokenLayout::kByteVocabulary) {
    throw InputError({"text is read byte by byte, which needs every byte and an end-of-text token",
                      option_word("vocab", std::to_string(vocabulary)),
                      "at least " + std::to_string(TokenLayout::kByteVocabulary), path,
                      "leave " + option_word("vocab") + " out: it is for token files"});
  }
  TokenLayout layout;
  layout.kind = "text";
  layout.is_bytes = true;
  layout.count = static_cast<std::int64_t>(bytes);
  layout.vocabulary = TokenLayout::kByteVocabulary;
  layout.text_bytes = layout.count;
  return layout;
}

FileLook look_at_file(const DataFile& file) {
  return look_at(file.head(kHeadBytes), file.tail(kTailBytes), file.size());
}

bool is_named_tokens(const DataFile& file) { return ends_with(file.path(), ".bin"); }

TokenLayout find_by_kind(const DataFile& file, std::int64_t vocabulary) {
  const FileLook look = look_at_file(file);
  const bool named_tokens = is_named_tokens(file);
  switch (look.kind) {
    case FileKind::kCllmTokens:
      return find_cllm_tokens(file, vocabulary);
    case FileKind::kLlmcTokens:
      return find_llmc_tokens(file);
    case FileKind::kNumpy:
      return find_numpy_tokens(file);
    case FileKind::kForeign:
      if (look.weak && named_tokens) break;
      throw InputError({std::string("this is ") + look.name, "",
                        "UTF-8 text, or tokens of llm.c, nanoGPT, NumPy or CLLM", file.path(),
                        look.advice});
    case FileKind::kUnknown:
      break;
  }
  return named_tokens ? find_headerless_tokens(file, vocabulary)
                      : find_text(file.path(), file.size(), vocabulary);
}

}  // namespace

bool is_text(const DataFile& file) {
  return look_at_file(file).kind == FileKind::kUnknown && !is_named_tokens(file);
}

bool knows_vocabulary(const DataFile& file) {
  return look_at_file(file).kind == FileKind::kCllmTokens;
}

TokenLayout find_tokens(const DataFile& file, std::int64_t vocabulary) {
  TokenLayout layout = find_by_kind(file, vocabulary);
  if (layout.width == 2 && !layout.header && vocabulary > kShortVocabulary) {
    throw InputError(
        {std::string("tokens of 16 bits cannot be of so large a vocabulary (") + layout.kind + ")",
         option_word("vocab", std::to_string(vocabulary)),
         "at most " + std::to_string(kShortVocabulary), file.path(),
         layout.guessed ? "if the ids are of 32 or 64 bits, save them as a .npy file: "
                          "numpy.save(NAME, numpy.fromfile(FILE, \"uint32\"))"
                        : "give the size of the tokenizer that the file was made with"});
  }
  if (layout.count == 0) {
    throw InputError(
        {"the token file holds no tokens", "", "", file.path(), "prepare it from a text"});
  }
  return layout;
}

TokenLayout find_tokens(const MemoryData& data, std::int64_t vocabulary) {
  if (data.kind == MemoryData::Kind::kTokens) {
    TokenLayout layout;
    layout.kind = "token ids";
    layout.width = sizeof(std::int32_t);
    layout.count = static_cast<std::int64_t>(data.bytes.size() / sizeof(std::int32_t));
    return layout;
  }
  const bool documents = data.kind == MemoryData::Kind::kDocuments;
  TokenLayout layout = find_text(data.name, data.bytes.size() / (documents ? 2 : 1), vocabulary);
  if (documents) {
    layout.kind = "texts";
    layout.width = 2;
  }
  return layout;
}

}  // namespace cllm
