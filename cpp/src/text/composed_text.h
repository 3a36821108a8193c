// The normalizer NFC composes characters; most texts it leaves as they are.
#pragma once

#include <cstddef>
#include <string_view>

namespace cllm {

/// Returns where NFC may begin to change a text; npos when it certainly leaves it as it is. This is
/// the quick check of Unicode Standard Annex 15: a mark that may combine with what is before it
/// counts as a change. REQUIRES: UTF-8.
std::size_t first_not_composed(std::string_view text) noexcept;

}  // namespace cllm
