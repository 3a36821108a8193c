// SHA-256 (FIPS 180-4) names the contents of models, tokenizers and data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cllm {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// Hashes bytes piece by piece; one thread at a time uses it.
class Sha256 {
 public:
  /// With `portable` it does not use the CPU's own instructions; the digests are the same.
  explicit Sha256(bool portable = false) noexcept;

  void update(const void* data, std::size_t size) noexcept;
  /// Returns the digest of all bytes so far. REQUIRES: called once, last.
  Sha256Digest finish() noexcept;

 private:
  void compress(const std::uint8_t* blocks, std::size_t count) noexcept;

  std::array<std::uint32_t, 8> state_ = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                         0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
  std::array<std::uint8_t, 64> block_{};
  std::size_t filled_ = 0;    ///< bytes waiting in block_
  std::uint64_t length_ = 0;  ///< bytes seen
  bool portable_;
};

Sha256Digest sha256(std::string_view bytes) noexcept;
/// Returns 64 lower-case hexadecimal digits.
std::string hex(const Sha256Digest& digest);

}  // namespace cllm
