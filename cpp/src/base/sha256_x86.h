// The SHA instructions of x86 processors: ten times as fast as portable code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cllm {

/// Whether this CPU has them.
bool has_sha_instructions() noexcept;

/// Takes blocks[count][64] into state[8]. REQUIRES: has_sha_instructions().
void compress_sha_instructions(std::uint32_t* state, const std::uint8_t* blocks,
                               std::size_t count) noexcept;

}  // namespace cllm
