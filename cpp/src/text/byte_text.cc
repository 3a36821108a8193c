// The tokenizer of byte models: every byte is a token.
#include "text/text_tokenizer.h"

namespace cllm {
namespace {

constexpr std::int64_t kBytes = 256, kKnown = kBytes + 1;

class ByteText : public TokenText {
 public:
  std::string add(std::int32_t token) override {
    return token < kBytes ? std::string(1, static_cast<char>(token)) : "";
  }
  std::string finish() override { return ""; }
};

class ByteTokenizer : public TextTokenizer {
 public:
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> tokens;
    tokens.reserve(text.size());
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
  }
  std::int64_t known() const override { return kKnown; }
  std::unique_ptr<TokenText> text() const override { return std::make_unique<ByteText>(); }
};

}  // namespace

std::unique_ptr<TextTokenizer> make_byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

}  // namespace cllm
