// manifest.json: the size of every file in a model folder and a checksum of each MiB of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// What the manifest says of one file.
struct FileRecord {
  std::string name;
  std::uint64_t size = 0;
  std::vector<std::uint32_t> crc;  ///< CRC-32C of each kChunkBytes, the last one may be shorter
};
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr const char* kManifestName = "manifest.json";

/// The text of manifest.json; it carries a checksum of itself.
std::string manifest_text(const std::vector<FileRecord>& files);

/// Checks files of `folder` against its manifest: those in `names`, or every listed one when
/// `names` is empty. Files that the manifest does not list are left alone. Returns false when there
/// is no manifest. Throws InputError naming the file, and the MiB that differs.
bool verify_folder(const std::string& folder, const std::vector<std::string>& names = {});

}  // namespace cllm
