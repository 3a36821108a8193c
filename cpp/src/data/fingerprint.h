// A fingerprint tells one data file from another, wherever it lies and whatever its name is.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// The bytes decide, not the path. Files are named by the SHA-256 of all their bytes. Older
/// versions wrote those of the first and the last MiB instead; a run does so too if its file was
/// changed before all of it was hashed.
struct DataFingerprint {
  std::uint64_t size = 0;      ///< bytes
  std::string sha256{};        ///< of the whole file, in hex; "" when it is not known
  std::string first_sha256{};  ///< of the first MiB; "" where the whole is known
  std::string last_sha256{};   ///< of the last MiB; "" where the whole is known
};

inline bool operator==(const DataFingerprint& a, const DataFingerprint& b) noexcept {
  return a.size == b.size && a.sha256 == b.sha256 && a.first_sha256 == b.first_sha256 &&
         a.last_sha256 == b.last_sha256;
}
inline bool operator!=(const DataFingerprint& a, const DataFingerprint& b) noexcept {
  return !(a == b);
}

}  // namespace cllm
