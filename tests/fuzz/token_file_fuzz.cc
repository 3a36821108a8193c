// A file of tokens of any bytes, under a name that says so and under one that does not: what is
// accepted can be copied whole, and no token lies outside its vocabulary. Checksums hide most of
// the reader from random bytes, so that half of the inputs get right ones.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "data/token_file.h"
#include "data/token_source.h"
#include "fuzz_input.h"

namespace {

using cllm::TokenFileHeader;

/// Writes the checksums that fit the bytes, where there is room for them.
void mend(std::string* bytes) {
  constexpr std::size_t kHeader = TokenFileHeader::kBytes;
  if (bytes->size() < kHeader) return;
  const std::uint32_t header = cllm::crc32c(bytes->data(), kHeader - 4);
  std::memcpy(bytes->data() + kHeader - 4, &header, sizeof header);
  std::uint64_t count = 0;
  std::uint32_t width = 0;
  std::memcpy(&width, bytes->data() + 12, sizeof width);
  std::memcpy(&count, bytes->data() + 16, sizeof count);
  if (count > bytes->size() || width > 4) return;
  const auto tokens = static_cast<std::size_t>(count) * width;
  std::size_t at = kHeader + tokens;  // of the checksums
  for (std::size_t done = 0; done < tokens && at + 4 <= bytes->size(); at += 4) {
    const std::size_t size = std::min<std::size_t>(tokens - done, TokenFileHeader::kBlock);
    const std::uint32_t block = cllm::crc32c(bytes->data() + kHeader + done, size);
    std::memcpy(bytes->data() + at, &block, sizeof block);
    done += size;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  if (size == 0) return 0;
  const std::int64_t vocabulary = data[0] < 128 ? 0 : std::int64_t{1} << (data[0] % 32);
  std::string bytes = fuzz_text(data + 1, size - 1);
  if ((data[0] & 64) != 0) mend(&bytes);
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
