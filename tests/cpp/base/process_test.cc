// A program starts by taking descriptors 0 to 2; failed writes are errors.
#include "cllm/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace cllm {
namespace {

/// Whether `body`, run in a child, returned true.
bool holds_in_child(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0;
}

TEST(Process, ClosedDescriptorsAreTaken) {
  for (int closed = 0; closed < 8; ++closed) {
    EXPECT_TRUE(holds_in_child([closed] {
      for (int fd = 0; fd < 3; ++fd) {
        if ((closed >> fd & 1) != 0) ::close(fd);
      }
      take_standard_descriptors();
      const int next = ::open("/dev/null", O_RDONLY);
      bool fails = true;  // writing to what was closed fails as before
      for (int fd = 1; fd < 3; ++fd) {
        if ((closed >> fd & 1) != 0) fails = fails && ::write(fd, "x", 1) == -1 && errno == EBADF;
      }
      return next > 2 && fails;
    })) << "descriptors "
        << closed;
  }
}

TEST(Process, AWriteThatFailsIsAnError) {
  EXPECT_TRUE(holds_in_child([] {
    survive_failed_writes();
    int ends[2];
    if (::pipe(ends) != 0) return false;
    ::close(ends[0]);
    if (::write(ends[1], "x", 1) != -1 || errno != EPIPE) return false;
    const rlimit limit{4, 4};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    char name[] = "/tmp/cllm-process-XXXXXX";
    const int file = ::mkstemp(name);
    ::unlink(name);
    return ::write(file, "12345678", 8) == 4 && ::write(file, "5678", 4) == -1 && errno == EFBIG;
  }));
}

}  // namespace
}  // namespace cllm
