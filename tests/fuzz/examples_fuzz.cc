// Marks of any bytes beside sixty tokens, and any marks in a sound file: what is accepted cuts the
// tokens into examples, and rows of any length hold what they should.
#include <algorithm>
#include <vector>

#include "base/sha256.h"
#include "data/example_rows.h"
#include "data/token_file.h"
#include "fuzz_input.h"

namespace {

using namespace cllm;

constexpr std::int64_t kTokens = 60;

void read_rows(const TokenSource& source, std::int64_t sequence, Packing packing) {
  const auto examples = std::make_shared<const Examples>(source);
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < examples->size(); ++i) total += examples->length(i);
  fuzz_require(total == kTokens, "every token is of one example");
  const ExampleRows rows(examples, sequence, packing);
  std::vector<std::int32_t> columns(static_cast<std::size_t>(3 * sequence));
  const RowsToFill to{columns.data(), columns.data() + sequence, columns.data() + 2 * sequence};
  std::int64_t targets = 0;
  for (std::int64_t row = 0; row < rows.size(); ++row) {
    rows.fill(row, to);
    std::int64_t counted = 0;
    for (std::int64_t t = 0; t < sequence; ++t) {
      fuzz_require(to.inputs[t] >= 0 && to.inputs[t] < kTokens, "a token of the vocabulary");
      fuzz_require(to.first_keys[t] >= 0 && to.first_keys[t] <= t, "a key before the row");
      if (to.targets[t] == kNotCounted) continue;
      fuzz_require(to.targets[t] == to.inputs[t + 1], "the next token is predicted");
      fuzz_require(to.first_keys[t] == to.first_keys[t + 1], "of the same example");
      ++counted;
    }
    fuzz_require(counted > 0 && counted == rows.targets(row), "as many targets as were counted");
    targets += counted;
  }
  fuzz_require(targets == rows.counts().targets, "as many targets in all");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string tokens = fuzz_folder() + "/tokens.bin", marks = fuzz_folder() + "/tokens.marks";
  std::vector<std::int32_t> numbers(kTokens);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int32_t>(i);
  write_token_file(tokens, {numbers.data(), numbers.size()}, kTokens, 2);
  const std::int64_t sequence = 1 + data[0] % 70;
  const Packing packing = data[0] < 128 ? Packing::kBestFit : Packing::kNone;
  if (data[1] % 2 == 0) {
    fuzz_write(marks, fuzz_text(data + 2, size - 2));
  } else {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = i + 2 < size ? data[i + 2] % Mark::kVocabulary : 0;
    }
    write_token_file(marks, {numbers.data(), numbers.size()}, Mark::kVocabulary, 2);
  }
  fuzz_attempt([&] {
    const TokenSource source("set", {tokens}, {marks}, 0, false);
    source.verify();
    read_rows(source, sequence, packing);
  });
  return 0;
}
