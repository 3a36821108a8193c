#include "base/folders.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/file_calls.h"
#include "base/file_descriptor.h"
#include "base/files.h"
#include "cllm/error.h"

namespace cllm {
namespace {

PathKind kind_of_mode(mode_t mode) {
  if (S_ISREG(mode)) return PathKind::kFile;
  if (S_ISDIR(mode)) return PathKind::kFolder;
  return S_ISLNK(mode) ? PathKind::kLink : PathKind::kOther;
}

PathKind kind_by(int (*look)(const char*, struct stat*), const std::string& path) {
  struct stat info{};
  if (look(path.c_str(), &info) == 0) return kind_of_mode(info.st_mode);
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return PathKind::kMissing;
  throw_system_error("cannot look at", path, errno);
}

FileIdentity identity_of(const struct stat& info) {
  return {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino)};
}

std::string stays(const std::string& path, int code) {
  return path + ": got " + std::generic_category().message(code);
}

}  // namespace

PathKind kind_of(const std::string& path) { return kind_by(file_calls().stat, path); }
PathKind kind_of_name(const std::string& path) { return kind_by(file_calls().lstat, path); }

bool identify(const std::string& path, FileIdentity* identity) noexcept {
  struct stat info{};
  if (file_calls().stat(path.c_str(), &info) != 0) return false;
  *identity = identity_of(info);
  return true;
}

bool identify(int fd, FileIdentity* identity) noexcept {
  struct stat info{};
  if (file_calls().fstat(fd, &info) != 0) return false;
  *identity = identity_of(info);
  return true;
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  if (error) throw_system_error("cannot tell the current folder", path, error.value());
  if (whole.filename().empty() && whole.has_relative_path()) whole = whole.parent_path();
  return whole.string();
}

std::string file_name(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0
}

std::vector<std::string> list_folder(const std::string& path) {
  const FileCalls& calls = file_calls();
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(calls.opendir(path.c_str()), calls.closedir);
  if (folder == nullptr) throw_system_error("cannot open the folder", path, errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = calls.readdir(folder.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) throw_system_error("cannot list the folder", path, errno);
  std::sort(names.begin(), names.end());
  return names;
}

void make_folders(const std::string& path) {
  if (is_folder(path)) return;
  const std::string parent = parent_folder(path);
  if (parent != path) make_folders(parent);
  if (file_calls().mkdir(path.c_str(), 0777) != 0) {
    const int code = errno;  // EEXIST: another process was faster, and syncs it too
    if (code != EEXIST || !is_folder(path)) {
      throw_system_error("cannot make the folder", path, code);
    }
  }
  sync_folder(parent);
}

std::string remove_tree(const std::string& path) noexcept {
  const FileCalls& calls = file_calls();
  struct stat info{};
  if (calls.lstat(path.c_str(), &info) != 0) return errno == ENOENT ? "" : stays(path, errno);
  if (!S_ISDIR(info.st_mode)) {
    return calls.unlink(path.c_str()) == 0 || errno == ENOENT ? "" : stays(path, errno);
  }
  std::string first;
  try {
    for (const std::string& name : list_folder(path)) {
      const std::string kept = remove_tree(path + "/" + name);
      if (first.empty()) first = kept;
    }
  } catch (const Error& error) {
    first = error.what();
  }
  if (calls.rmdir(path.c_str()) == 0 || errno == ENOENT) return "";
  return first.empty() ? stays(path, errno) : first;
}

std::string link_target(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = file_calls().readlink(path.c_str(), target.data(), target.size());
  if (size < 0) {
    if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR) return "";
    throw_system_error("cannot read the link", path, errno);
  }
  target.resize(static_cast<std::size_t>(size));
  return target;
}

}  // namespace cllm
