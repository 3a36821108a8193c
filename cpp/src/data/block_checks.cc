#include "data/block_checks.h"

#include <algorithm>
#include <array>

#include "base/crc32c.h"
#include "cllm/wording.h"

namespace cllm {

BlockChecks::BlockChecks(const DataFile& file, const TokenFileHeader& header)
    : file_(file), token_bytes_(header.token_bytes()), passed_(header.blocks()) {}

void BlockChecks::check(std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint64_t kBlock = TokenFileHeader::kBlock;
  for (std::uint64_t block = begin / kBlock; block * kBlock < end; ++block) {
    // Two threads may both check a block; neither has to see what the other found.
    if (passed_[block].load(std::memory_order_relaxed)) continue;
    check_block(block);
    passed_[block].store(true, std::memory_order_relaxed);
  }
}

void BlockChecks::pass_all() noexcept {
  for (std::atomic<bool>& passed : passed_) passed.store(true, std::memory_order_relaxed);
}

void BlockChecks::check_block(std::uint64_t block) const {
  // The piece is on the stack, so that any thread may read and nothing is allocated.
  std::array<std::byte, 16384> piece;
  const std::uint64_t begin = block * TokenFileHeader::kBlock;
  const std::uint64_t end = std::min(begin + TokenFileHeader::kBlock, token_bytes_);
  std::uint32_t seen = 0, wanted = 0;
  for (std::uint64_t at = begin; at < end; at += piece.size()) {
    const auto size = std::min<std::size_t>(piece.size(), end - at);
    file_.read(TokenFileHeader::kBytes + at, piece.data(), size);
    seen = crc32c(piece.data(), size, seen);
  }
  file_.read(TokenFileHeader::kBytes + token_bytes_ + 4 * block, &wanted, sizeof wanted);
  if (seen == wanted) return;
  throw DataError(ErrorParts{
      "tokens do not match their checksum",
      "damage in block " + std::to_string(block) + " of " + std::to_string(passed_.size()), "",
      file_.path(), "copy or prepare the file again, then go on with " + option_word("resume")});
}

}  // namespace cllm
