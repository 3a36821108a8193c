// Block checks compare the blocks of a token file with their checksums as they are first read.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "data/data_file.h"
#include "data/token_file.h"

namespace cllm {

/// A file of any size can so be trained on at once, and no damaged token is ever used. A block that
/// has passed is not read again. Thread safety: any thread may check.
class BlockChecks {
 public:
  /// REQUIRES: `header` was decoded from `file`, which outlives this.
  BlockChecks(const DataFile& file, const TokenFileHeader& header);

  /// Checks the blocks that hold bytes begin .. end - 1 of the tokens. Allocates nothing. Throws
  /// DataError for a damaged block. REQUIRES: end <= header.token_bytes().
  void check(std::uint64_t begin, std::uint64_t end);
  /// Notes that all blocks were found to be right.
  void pass_all() noexcept;

 private:
  void check_block(std::uint64_t block) const;

  const DataFile& file_;
  const std::uint64_t token_bytes_;
  std::vector<std::atomic<bool>> passed_;  // by block
};

}  // namespace cllm
