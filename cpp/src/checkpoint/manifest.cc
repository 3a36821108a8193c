#include "checkpoint/manifest.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/crc32c.h"
#include "base/file_calls.h"
#include "base/file_descriptor.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_text.h"
#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string hex8(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

std::string checksum(const Json& files) {
  const std::string text = files.dump();
  return hex8(crc32c(text.data(), text.size()));
}

[[noreturn]] void refuse_damaged(const std::string& what, const std::string& seen,
                                 const std::string& wanted, const std::string& where) {
  throw InputError({what, seen, wanted, where, "the folder is damaged; use another checkpoint"});
}

/// Refuses a file that is whole but differs from what was written; nobody can tell who changed it.
[[noreturn]] void refuse_changed(const std::string& what, const std::string& seen,
                                 const std::string& wanted, const std::string& where) {
  throw InputError({what, seen, wanted, where,
                    "it was changed or damaged since it was written; a change of your own to a "
                    "model: delete manifest.json beside it to accept its files as they are"});
}

/// Checks that a name stays inside the folder: a manifest must not open a file elsewhere.
void check_name(const std::string& name, const std::string& path) {
  const bool inside = !name.empty() && name != "." && name != ".." && name != kManifestName &&
                      name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  if (!inside) {
    refuse_damaged("manifest names what is no file of the folder", "\"" + name + "\"",
                   "a plain name", path);
  }
}

/// Returns the "files" part of a manifest whose form and own checksum are right.
Json read_manifest(const std::string& path) {
  try {
    const Json manifest = Json::parse(read_json_file(path));
    if (manifest.at("format") != kFormat) {
      throw InputError({"manifest of an unknown format", manifest.at("format").dump(),
                        std::to_string(kFormat), path, "written by a newer version?"});
    }
    const Json& files = manifest.at("files");
    if (manifest.at("chunk_bytes") != kChunkBytes ||
        manifest.at("files_crc32c") != checksum(files)) {
      refuse_damaged("manifest does not fit its own checksum", checksum(files),
                     manifest.at("files_crc32c").dump(), path);
    }
    if (!files.is_object() || files.empty()) {
      refuse_damaged("manifest lists no files", files.is_object() ? "{}" : files.type_name(),
                     "the files of the folder", path);
    }
    for (const auto& [name, record] : files.items()) check_name(name, path);
    return files;
  } catch (const nlohmann::json::exception& error) {
    refuse_damaged("manifest cannot be read", error.what(), "the JSON that a save writes", path);
  }
}

/// Reads instead of mapping, so that a failing disk is an error and not a signal.
void verify_file(const std::string& path, std::uint64_t size, const Json& checksums) {
  std::size_t found = 0;
  const FileDescriptor file = open_for_reading(path, &found);
  if (found != size) {
    refuse_changed("file has another size than its manifest says", std::to_string(found) + " bytes",
                   std::to_string(size), path);
  }
  if (!checksums.is_array() || checksums.size() != (size + kChunkBytes - 1) / kChunkBytes) {
    refuse_damaged("manifest has too few or too many checksums", std::to_string(checksums.size()),
                   "one for each MiB", path);
  }
  std::vector<char> buffer(kChunkBytes);
  for (std::size_t chunk = 0; chunk < checksums.size(); ++chunk) {
    const std::size_t wanted = std::min<std::size_t>(kChunkBytes, size - chunk * kChunkBytes);
    std::size_t filled = 0;
    while (filled < wanted) {
      const ssize_t got = file_calls().read(file.get(), buffer.data() + filled, wanted - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_system_error("cannot read file", path, errno);
      if (got == 0) refuse_damaged("file became shorter while it was read", "", "", path);
      filled += static_cast<std::size_t>(got);
    }
    const std::string crc = hex8(crc32c(buffer.data(), wanted));
    if (checksums[chunk] != crc) {
      refuse_changed("bytes differ from the manifest in MiB " + std::to_string(chunk),
                     "CRC-32C " + crc, checksums[chunk].get<std::string>(), path);
    }
  }
}

}  // namespace

std::string manifest_text(const std::vector<FileRecord>& files) {
  Json listed = Json::object();
  for (const FileRecord& file : files) {
    Json checksums = Json::array();
    for (const std::uint32_t crc : file.crc) checksums.push_back(hex8(crc));
    listed[file.name] = {{"size", file.size}, {"crc32c", checksums}};
  }
  const Json manifest = {{"format", kFormat},
                         {"chunk_bytes", kChunkBytes},
                         {"files_crc32c", checksum(listed)},
                         {"files", listed}};
  return manifest.dump(1) + "\n";
}

namespace {

/// Verifies those of `names` that the manifest lists; with `all`, everything that it lists.
bool verify(const std::string& folder, const std::vector<std::string>& needed,
            const std::vector<std::string>& optional, bool all) {
  if (!is_there(folder) || !is_folder(folder)) {
    throw InputError({"no such folder", "", "", folder, ""});
  }
  const std::string path = folder + "/" + kManifestName;
  if (!is_there(path)) return false;
  const Json files = read_manifest(path);
  for (const std::string& name : needed) {
    if (!files.contains(name)) {
      refuse_damaged("manifest does not list a file that is needed", "\"" + name + "\"", "", path);
    }
  }
  const auto among = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  try {
    for (const auto& [name, record] : files.items()) {
      if (!all && !among(needed, name) && !among(optional, name)) continue;
      const Json& size = record.at("size");
      if (!size.is_number_unsigned())
        refuse_damaged("bad size in the manifest", size.dump(), "", path);
      verify_file(folder + "/" + name, size.get<std::uint64_t>(), record.at("crc32c"));
    }
  } catch (const nlohmann::json::exception& error) {
    refuse_damaged("manifest cannot be read", error.what(), "the JSON that a save writes", path);
  }
  return true;
}

}  // namespace

bool verify_folder(const std::string& folder, const std::vector<std::string>& needed) {
  return verify(folder, needed, {}, true);
}

bool verify_files(const std::string& folder, const std::vector<std::string>& needed,
                  const std::vector<std::string>& optional) {
  return verify(folder, needed, optional, false);
}

}  // namespace cllm
