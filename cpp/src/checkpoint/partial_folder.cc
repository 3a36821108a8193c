#include "checkpoint/partial_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/file_calls.h"
#include "base/files.h"
#include "base/folders.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr const char* kPrefix = ".cllm-partial-";
constexpr int kTries = 100;

FileDescriptor open_folder(const std::string& path) {
  return FileDescriptor(file_calls().open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
}

/// Says whether `path` still is the folder behind the descriptor: another process may have taken it
/// for a leftover between making and locking it.
bool same_folder(int descriptor, const std::string& path) {
  FileIdentity opened, named;
  return identify(descriptor, &opened) && identify(path, &named) && opened == named;
}

[[noreturn]] void give_up(const std::string& folder, const std::string& seen) {
  throw Error({"cannot make a working folder beside it",
               seen + " in " + std::to_string(kTries) + " tries", "", folder,
               "remove the folders " + std::string(kPrefix) + "* there when no run is alive"});
}

}  // namespace

bool is_partial_name(const std::string& name) { return name.rfind(kPrefix, 0) == 0; }

std::string partial_name(const std::string& folder) {
  static std::atomic<unsigned> counter{0};
  const std::string stem = parent_folder(folder) + "/" + kPrefix + file_name(folder) + "-" +
                           std::to_string(getpid()) + "-";
  for (int i = 0; i < kTries; ++i) {
    // In a container every run may have the same process id, so a leftover can have this name.
    const std::string name = stem + std::to_string(counter++);
    if (kind_of_name(name) == PathKind::kMissing) return name;
  }
  give_up(folder, "only names that are taken");
}

std::string make_partial_folder(const std::string& folder, FileDescriptor* lock) {
  const FileCalls& calls = file_calls();
  for (int i = 0; i < kTries; ++i) {
    const std::string partial = partial_name(folder);
    if (calls.mkdir(partial.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      throw_system_error("cannot make the folder", partial, errno);
    }
    FileDescriptor descriptor = open_folder(partial);
    if (!descriptor.valid()) {
      const int code = errno;
      if (code == ENOENT) continue;  // another process took it for a leftover
      calls.rmdir(partial.c_str());
      throw_system_error("cannot open the folder", partial, code);
    }
    // Where locks do not work at all (some network file systems), nobody removes leftovers either.
    const bool locked =
        calls.flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (!locked || !same_folder(descriptor.get(), partial)) {
      calls.rmdir(partial.c_str());  // empty or gone
      continue;
    }
    *lock = std::move(descriptor);
    return partial;
  }
  give_up(folder, "working folders that others lock at once");
}

std::string remove_aside(const std::string& folder) {
  const std::string doomed = partial_name(folder);
  if (file_calls().rename(folder.c_str(), doomed.c_str()) != 0) {
    return errno == ENOENT ? "" : folder + ": got " + std::generic_category().message(errno);
  }
  return remove_tree(doomed);
}

void remove_partial_folders(const std::string& parent) noexcept {
  try {
    for (const std::string& name : list_folder(parent)) {
      if (!is_partial_name(name)) continue;
      const FileDescriptor descriptor = open_folder(parent + "/" + name);
      if (descriptor.valid() && file_calls().flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0) {
        remove_tree(parent + "/" + name);
      }
    }
  } catch (const Error&) {
    return;  // a leftover takes space but does no harm
  }
}

}  // namespace cllm
