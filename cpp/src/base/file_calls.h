// All calls to the operating system that touch files are in one table that a test may replace.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

namespace cllm {

/// Each member does what the system call of its name does, errno included. The layers base,
/// telemetry, data and checkpoint and the run folder reach files only through this table, so that a
/// test can make any call fail, be short, or be the last one before a crash.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  int (*openat)(int folder, const char* path, int flags, mode_t mode);
  int (*close)(int fd);
  ssize_t (*read)(int fd, void* out, std::size_t size);
  ssize_t (*write)(int fd, const void* data, std::size_t size);
  ssize_t (*pread)(int fd, void* out, std::size_t size, off_t offset);
  ssize_t (*pwrite)(int fd, const void* data, std::size_t size, off_t offset);
  int (*fsync)(int fd);
  int (*fdatasync)(int fd);
  int (*ftruncate)(int fd, off_t size);
  int (*flock)(int fd, int operation);
  int (*fstat)(int fd, struct ::stat* out);
  int (*stat)(const char* path, struct ::stat* out);
  int (*lstat)(const char* path, struct ::stat* out);
  int (*mkdir)(const char* path, mode_t mode);
  int (*rmdir)(const char* path);
  int (*unlink)(const char* path);
  int (*rename)(const char* from, const char* to);
  int (*renameat2)(int from_folder, const char* from, int to_folder, const char* to,
                   unsigned flags);
  int (*symlink)(const char* target, const char* path);
  ssize_t (*readlink)(const char* path, char* out, std::size_t size);
  DIR* (*opendir)(const char* path);
  dirent* (*readdir)(DIR* folder);
  int (*closedir)(DIR* folder);
};

/// Returns the calls of the operating system itself.
const FileCalls& system_file_calls() noexcept;

/// Returns the table in force. Thread safety: any thread may call it at any time.
const FileCalls& file_calls() noexcept;

/// Puts another table in force as long as it lives. REQUIRES: `calls` outlives it, and scopes end
/// in the opposite order of their beginnings.
class FileCallsForTesting {
 public:
  explicit FileCallsForTesting(const FileCalls& calls) noexcept;
  FileCallsForTesting(const FileCallsForTesting&) = delete;
  FileCallsForTesting& operator=(const FileCallsForTesting&) = delete;
  ~FileCallsForTesting();

 private:
  const FileCalls* before_;
};

}  // namespace cllm
