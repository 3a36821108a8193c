// Folders and their names are looked at, made durably and removed by calls that tests can make
// fail.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

enum class PathKind { kMissing, kFile, kFolder, kLink, kOther };

/// Returns what `path` names, following links (a dangling link or a loop is missing). Throws Error
/// when the file system cannot say.
PathKind kind_of(const std::string& path);
/// Does the same for the name itself: a link is a link.
PathKind kind_of_name(const std::string& path);

inline bool exists(const std::string& path) { return kind_of(path) != PathKind::kMissing; }
inline bool is_folder(const std::string& path) { return kind_of(path) == PathKind::kFolder; }

/// Says which file or folder something is, whatever its name.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  bool operator==(const FileIdentity& o) const { return device == o.device && inode == o.inode; }
  bool operator!=(const FileIdentity& o) const { return !(*this == o); }
};

/// Follows links. Returns false, with errno as it was left, when nothing can be seen.
bool identify(const std::string& path, FileIdentity* identity) noexcept;
bool identify(int fd, FileIdentity* identity) noexcept;

/// Returns the absolute `path`, without "." and "..", and without a slash at its end.
std::string absolute_path(const std::string& path);
/// Returns the last part of `path`.
std::string file_name(const std::string& path);

/// Returns the names in a folder, sorted, without "." and "..". Throws Error.
std::vector<std::string> list_folder(const std::string& path);

/// Makes a folder and its missing parents; the entry of each new one is durable. Throws Error.
void make_folders(const std::string& path);

/// Removes a file, a link, or a folder with all its contents, as far as it can; does not follow
/// links. Returns "" or, for the first thing that stays, "PATH: got REASON".
std::string remove_tree(const std::string& path) noexcept;

/// Returns what a link names, "" when `path` is no link.
std::string link_target(const std::string& path);

}  // namespace cllm
