// This scan looks at all tokens of a file before any is trained on, so that none can lie outside
// the vocabulary.
#pragma once

#include "data/token_layout.h"

namespace cllm {

/// Returns the largest token of the file. Throws InputError for a token that is negative, not below
/// `vocabulary`, or, if that is 0 (not given), beyond what ids can be. Throws it too for a file
/// whose 16-bit tokens must really be ids of 32 or 64 bits. REQUIRES: layout.width is 2, 4 or 8.
std::int64_t find_largest_token(const DataFile& file, const TokenLayout& layout,
                                std::int64_t vocabulary);

}  // namespace cllm
