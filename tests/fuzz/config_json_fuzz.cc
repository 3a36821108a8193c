// config.json and generation_config.json of any text: what is accepted is a model in bounds, and
// stays the same model when it is written again.
#include "checkpoint/families/config_json.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  const std::string text = fuzz_text(data, size);
  ModelDescription model;
  if (fuzz_attempt([&] { model = parse_config_json(text, "config.json"); })) {
    const std::int64_t parameters = parameter_count(model.config);
    fuzz_require(parameters > 0 && parameters <= kMostParameters, "a model in bounds");
    const std::string written = config_json(model.config, model.byte_tokens, text);
    const ModelDescription again = parse_config_json(written, "config.json");
    fuzz_require(again.config == model.config && again.byte_tokens == model.byte_tokens &&
                     again.end_tokens == model.end_tokens,
                 "the same model");
    fuzz_require(config_json(again.config, again.byte_tokens, written) == written, "the same text");
  }
  fuzz_attempt([&] {
    for (const std::int32_t token : parse_end_tokens(text, "generation_config.json", model)) {
      fuzz_require(token >= 0 && token < model.config.vocabulary, "a token of the vocabulary");
    }
  });
  return 0;
}
