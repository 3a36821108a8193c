// One run, one process: the lock that an open run holds on its folder.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/file_descriptor.h"

namespace cllm {

/// Holds RUN/.lock from construction to destruction, which removes the file. The lock is the
/// kernel's (flock), so it ends with the process, however that dies: a file left by a crash, by
/// another machine or in a copy of the run holds nobody up. Two locks of one process exclude each
/// other as well. Where a file system has no locks, the file itself is the lock: one whose process
/// is gone from this machine is taken over, one of another machine is refused by name.
///
/// A child made by fork() shares the lock until it execs or ends; it does not remove the file.
/// Thread safety: one thread at a time.
class RunLock {
 public:
  /// Throws InputError that says who holds the run, Error when the file system refuses.
  /// REQUIRES: the folder exists.
  explicit RunLock(const std::string& run);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

  /// Takes the lock again when its file was removed under us. Throws InputError when another
  /// process took the run meanwhile.
  void renew();
  /// The run folder has another name now.
  void moved_to(const std::string& run);

 private:
  void acquire();
  bool try_file(bool* by_kernel);
  void remove_stale();
  bool ours() const noexcept;

  std::string path_;
  FileDescriptor file_;
  pid_t owner_;
};

constexpr const char* kLockName = ".lock";

/// Throws InputError when a living process holds the run folder. Changes nothing, holds nothing.
void check_not_locked(const std::string& run);

}  // namespace cllm
