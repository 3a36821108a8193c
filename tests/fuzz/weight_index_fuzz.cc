// The index of several weight files of any text: what is accepted names files beside it.
#include "checkpoint/weight_files.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  fuzz_attempt([&] {
    for (const auto& [tensor, file] : parse_weight_index(fuzz_text(data, size), "index.json")) {
      fuzz_require(file.find('/') == file.npos && file != ".." && !file.empty(), "a plain name");
    }
  });
  return 0;
}
