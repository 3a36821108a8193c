// manifest.json has the size of every file in a model folder and a checksum of each MiB of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// Holds what the manifest says of one file.
struct FileRecord {
  std::string name;
  std::uint64_t size = 0;
  std::vector<std::uint32_t> crc;  ///< CRC-32C of each kChunkBytes; the last may be shorter
};
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr const char* kManifestName = "manifest.json";

/// Returns the text of manifest.json, which carries a checksum of itself.
std::string manifest_text(const std::vector<FileRecord>& files);

/// Checks every file of `folder` that its manifest lists. Other files are ignored, but those in
/// `needed` must be listed. Returns false when there is no manifest. Throws InputError for a
/// manifest that lists nothing or a name that is no file of the folder, and for the first file that
/// differs, naming it and the MiB.
bool verify_folder(const std::string& folder, const std::vector<std::string>& needed = {});

/// Does the same for `needed` and, where they are listed, for `optional`; other files are not read.
bool verify_files(const std::string& folder, const std::vector<std::string>& needed,
                  const std::vector<std::string>& optional = {});

}  // namespace cllm
