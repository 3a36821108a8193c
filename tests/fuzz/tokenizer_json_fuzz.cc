// A tokenizer.json of any text: what is accepted encodes any text or refuses it, and any of its
// tokens give whole characters. The text to encode is what follows the last NUL.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "text/text_tokenizer.h"
#include "text/tokenizer_file.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  const std::string all = fuzz_text(data, size);
  const std::size_t cut = all.rfind('\0');
  const std::string text = cut == std::string::npos ? "a b1'll \xC3\xA9" : all.substr(cut + 1);
  fuzz_attempt([&] { parse_split_special(text, "f"); });
  std::unique_ptr<TextTokenizer> tokenizer;
  if (!fuzz_attempt([&] { tokenizer = make_bpe_tokenizer(all.substr(0, cut), "", "f"); })) return 0;
  fuzz_require(tokenizer->known() >= 0 && tokenizer->known() <= 1 << 24, "ids in bounds");
  std::vector<std::int32_t> tokens;
  fuzz_attempt([&] {
    try {
      tokens = tokenizer->encode(text);
    } catch (const InputError&) {
      throw;
    } catch (const Error&) {  // the pattern needs too many steps
    }
  });
  const std::int64_t few = std::min<std::int64_t>(tokenizer->known(), 1000);
  for (std::int32_t token = 0; token < few; ++token) tokens.push_back(token);
  const std::unique_ptr<TokenText> stream = tokenizer->text();
  for (const std::int32_t token : tokens) {
    fuzz_require(token >= 0 && token < 1 << 24, "an id in bounds");
    fuzz_require(first_invalid_utf8(stream->add(token)) == std::string::npos, "whole characters");
  }
  stream->finish();
  return 0;
}
