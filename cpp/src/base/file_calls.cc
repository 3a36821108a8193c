#include "base/file_calls.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace cllm {
namespace {

int call_open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }

int call_openat(int folder, const char* path, int flags, mode_t mode) {
  return ::openat(folder, path, flags, mode);
}

// Only tests write this, between uses by other threads.
std::atomic<const FileCalls*> in_force{nullptr};

}  // namespace

const FileCalls& system_file_calls() noexcept {
  static constexpr FileCalls kCalls = {call_open,  call_openat, ::close,   ::read,      ::write,
                                       ::pread,    ::pwrite,    ::fsync,   ::fdatasync, ::ftruncate,
                                       ::flock,    ::fstat,     ::stat,    ::lstat,     ::mkdir,
                                       ::rmdir,    ::unlink,    ::rename,  ::renameat2, ::symlink,
                                       ::readlink, ::opendir,   ::readdir, ::closedir};
  return kCalls;
}

const FileCalls& file_calls() noexcept {
  const FileCalls* const calls = in_force.load(std::memory_order_acquire);
  return calls != nullptr ? *calls : system_file_calls();
}

FileCallsForTesting::FileCallsForTesting(const FileCalls& calls) noexcept
    : before_(in_force.exchange(&calls)) {}

FileCallsForTesting::~FileCallsForTesting() { in_force.store(before_); }

}  // namespace cllm
