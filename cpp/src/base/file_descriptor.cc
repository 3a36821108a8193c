#include "base/file_descriptor.h"

#include <cerrno>
#include <system_error>

#include "base/file_calls.h"
#include "cllm/error.h"

namespace cllm {

void throw_system_error(const std::string& what, const std::string& path, int code) {
  // This uses generic_category, because strerror may share its buffer between threads.
  throw Error({what, std::generic_category().message(code), "", path, ""});
}

FileDescriptor::~FileDescriptor() { close(); }

int FileDescriptor::close() noexcept {
  if (fd_ < 0) return 0;
  // Linux frees the descriptor even when close is interrupted, so a second close could close
  // another one.
  const int status = file_calls().close(std::exchange(fd_, -1));
  return status == 0 || errno == EINTR ? 0 : errno;
}

int write_all(int fd, const void* data, std::size_t size, std::size_t* written) noexcept {
  const char* from = static_cast<const char*>(data);
  std::size_t done = 0;
  int code = 0;
  while (done < size) {
    const ssize_t n = file_calls().write(fd, from + done, size - done);
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      code = n == 0 ? EIO : errno;
      break;
    }
  }
  if (written != nullptr) *written = done;
  return code;
}

}  // namespace cllm
