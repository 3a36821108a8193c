// One run belongs to one process: an open run holds this lock on its folder.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/file_descriptor.h"

namespace cllm {

/// Holds RUN/.lock from construction to destruction, which removes the file. The lock is the
/// kernel's (flock), so it ends with the process, however that dies; a file left by a crash, by
/// another machine or in a copy of the run blocks nobody. Two locks of one process exclude each
/// other as well. Where a file system has no locks, the file itself is the lock: if its process on
/// this machine is gone it is taken over; if it is from another machine, it is refused and that
/// machine is named.
///
/// A child made by fork() shares the lock until it execs or ends; it does not remove the file.
/// Thread safety: one thread at a time.
class RunLock {
 public:
  /// Throws InputError that says who holds the run, Error when the file system refuses. REQUIRES:
  /// the folder exists.
  explicit RunLock(const std::string& run);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

  /// Takes the lock again when its file was removed meanwhile. Throws InputError when another
  /// process took the run.
  void renew();
  /// Tells the lock that the run folder has another name now.
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

/// Throws InputError when a living process holds the run folder. Changes nothing and holds nothing.
void check_not_locked(const std::string& run);

}  // namespace cllm
