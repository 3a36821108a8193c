// CRC-32C (Castagnoli) is the checksum of manifests and token files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cllm {

/// Returns the checksum of `size` bytes. `previous` is that of the bytes before them, so that
/// crc32c(b, m, crc32c(a, n)) is the checksum of a followed by b.
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t previous = 0) noexcept;

}  // namespace cllm
