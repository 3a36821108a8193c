#include "checkpoint/partial_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = ".cllm-partial-";

FileDescriptor open_folder(const std::string& path) {
  return FileDescriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// Whether `path` still is the folder behind the descriptor: another process may have taken it for
/// a leftover in the moment between making and locking it.
bool same_folder(int descriptor, const std::string& path) {
  struct stat opened, named;
  return fstat(descriptor, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

std::string partial_name(const std::string& folder) {
  static std::atomic<unsigned> counter{0};
  const fs::path path = folder;
  const std::string stem = kPrefix + path.filename().string() + "-" + std::to_string(getpid());
  for (;;) {
    // In a container every run may have the same process id: a leftover can bear the name.
    const fs::path name = path.parent_path() / (stem + "-" + std::to_string(counter++));
    if (!fs::exists(fs::symlink_status(name))) return name.string();
  }
}

std::string make_partial_folder(const std::string& folder, FileDescriptor* lock) {
  for (;;) {
    const std::string partial = partial_name(folder);
    if (mkdir(partial.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      throw_system_error("cannot create folder", partial, errno);
    }
    FileDescriptor descriptor = open_folder(partial);
    if (!descriptor.valid()) {
      if (errno == ENOENT) continue;  // taken for a leftover
      throw_system_error("cannot open folder", partial, errno);
    }
    // Where locks do not work at all (some network file systems) nobody removes leftovers either.
    const bool locked = flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (!locked || !same_folder(descriptor.get(), partial)) continue;
    *lock = std::move(descriptor);
    return partial;
  }
}

void remove_partial_folders(const std::string& parent) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    const std::string path = entry.path().string();
    if (entry.path().filename().string().rfind(kPrefix, 0) != 0) continue;
    const FileDescriptor descriptor = open_folder(path);
    if (descriptor.valid() && flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0) {
      fs::remove_all(path, ignored);
    }
  }
}

}  // namespace cllm
