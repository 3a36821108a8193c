// A config.toml of any text: what is accepted reads back from what is written of it.
#include "cllm/options.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  TrainConfig config;
  if (!fuzz_attempt([&] { apply_toml(config, fuzz_text(data, size), "config.toml"); })) return 0;
  config.resume.clear();  // says how a process was started; a written file does not hold it
  TrainConfig again;
  apply_toml(again, to_toml(config), "config.toml");
  fuzz_require(to_toml(again) == to_toml(config), "the same configuration");
  fuzz_attempt([&] { check(config); });
  return 0;
}
