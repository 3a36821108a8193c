// A descriptor has one owner, and failed system calls become errors with path and reason.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace cllm {

/// Throws Error "PATH: WHAT: got REASON"; `code` is an errno value.
[[noreturn]] void throw_system_error(const std::string& what, const std::string& path, int code);

/// Closes its descriptor when it goes out of scope; -1 holds nothing. One thread at a time uses it.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  /// Closes now and returns 0 or the errno of close; network file systems report lost writes here.
  int close() noexcept;

 private:
  int fd_ = -1;
};

/// Calls write(2) until everything is written; repeats interrupted calls. Returns 0 or an errno.
/// `written`, when given, receives the number of bytes that arrived, in either case.
int write_all(int fd, const void* data, std::size_t size, std::size_t* written = nullptr) noexcept;

}  // namespace cllm
