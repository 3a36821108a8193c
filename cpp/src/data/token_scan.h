// Looks at all tokens of a file before any is trained on, so that none can lie outside the
// vocabulary.
#pragma once

#include "data/token_layout.h"

namespace cllm {

/// The largest token of the file. Throws InputError for one that is negative, not below
/// `vocabulary` or (0: not given) beyond what ids can be, and for a file whose 16-bit tokens must
/// be something else: ids of 32 or 64 bits. REQUIRES: layout.width is 2, 4 or 8.
std::int64_t find_largest_token(const DataFile& file, const TokenLayout& layout,
                                std::int64_t vocabulary);

}  // namespace cllm
