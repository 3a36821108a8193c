// Options with values of any text, one in each line (`name value`), as a command line means them.
#include <sstream>

#include "cllm/options.h"
#include "cllm/run_config.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  std::istringstream lines(fuzz_text(data, size));
  GivenOptions given;
  TrainConfig config;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = std::min(line.find(' '), line.size());
    const std::string name = line.substr(0, blank);
    const std::string value = blank < line.size() ? line.substr(blank + 1) : "";
    const Option* const option = find_option(name);
    const bool taken = fuzz_attempt([&] { set_option(config, name, value); });
    fuzz_require(!taken || option != nullptr, "an option of the table");
    if (!taken) continue;
    TrainConfig again;
    set_option(again, option->name, option_text(config, *option));
    fuzz_require(option_text(again, *option) == option_text(config, *option), "the same value");
    if (option->name != "resume") given.given.emplace_back(name, value);
  }
  fuzz_attempt([&] { run_config(given); });
  return 0;
}
