// The SHA instructions of x86 processors are ten times as fast as portable code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cllm {

/// Says whether this CPU has them.
bool has_sha_instructions() noexcept;

/// Hashes blocks[count][64] into state[8]. REQUIRES: has_sha_instructions().
void compress_sha_instructions(std::uint32_t* state, const std::uint8_t* blocks,
                               std::size_t count) noexcept;

}  // namespace cllm
