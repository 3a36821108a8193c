// A file of tokens of any bytes, under a name that says so and under one that does not: what is
// accepted can be copied whole, and no token lies outside its vocabulary.
#include <vector>

#include "data/token_source.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  if (size == 0) return 0;
  const std::int64_t vocabulary = data[0] < 128 ? 0 : std::int64_t{1} << (data[0] % 32);
  const std::string bytes = fuzz_text(data + 1, size - 1);
  for (const char* name : {"/tokens.bin", "/text.txt"}) {
    const std::string path = fuzz_folder() + name;
    fuzz_write(path, bytes);
    fuzz_attempt([&] {
      const TokenSource source(path, vocabulary);
      source.verify();
      fuzz_require(source.size() >= 1 && source.size() <= static_cast<std::int64_t>(bytes.size()),
                   "as many tokens as the file can hold");
      std::vector<std::int32_t> tokens(static_cast<std::size_t>(source.size()));
      source.copy(0, source.size(), tokens.data());
      const std::int64_t most = source.vocabulary();
      for (const std::int32_t token : tokens) {
        fuzz_require(token >= 0 && (most == 0 || token < most), "a token of the vocabulary");
      }
    });
  }
  return 0;
}
