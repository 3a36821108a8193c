// tokenize_lines TOKENIZER.json [TOKENIZER_CONFIG.json] reads JSON strings, one a line, and prints
// for each what the native tokenizer makes of it: {"ids": [...], "text": "..."} or {"error":
// "..."}. Tests compare it with Hugging Face's libraries.
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "cllm/error.h"
#include "text/text_tokenizer.h"

namespace {

using Json = nlohmann::json;

/// Returns the text of tokens that come one by one.
std::string streamed(const cllm::TextTokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  const auto text = tokenizer.text();
  std::string all;
  for (const std::int32_t id : ids) all += text->add(id);
  return all + text->finish();
}

Json answer(const cllm::TextTokenizer& tokenizer, const std::string& line) {
  try {
    const Json asked = Json::parse(line);
    if (asked.is_array()) return {{"text", streamed(tokenizer, asked)}};
    const auto ids = tokenizer.encode(asked.get<std::string>());
    return {{"ids", ids}, {"text", streamed(tokenizer, ids)}};
  } catch (const cllm::Error& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return 2;
    const std::string json = cllm::read_text_file(argv[1]);
    const std::string config = argc > 2 ? cllm::read_text_file(argv[2]) : "";
    const auto tokenizer = cllm::make_bpe_tokenizer(json, config, argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << answer(*tokenizer, line).dump() << "\n";
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
