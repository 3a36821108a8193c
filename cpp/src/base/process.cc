#include "cllm/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <initializer_list>

namespace cllm {

void take_standard_descriptors() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    const int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    // The lowest free number is fd.
    [[maybe_unused]] const int opened = ::open("/dev/null", mode);
  }
}

void survive_failed_writes() noexcept {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace cllm
