// A part of a test runs in its own process with little memory. If it is killed, the test fails, and
// what it said until then is known.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

#include "sanitized.h"

namespace cllm {

constexpr bool kLimitsMemory = !kSanitized;  // sanitizers reserve terabytes of addresses

/// Limits the calling process to a GiB beyond what it has.
inline void limit_memory() {
  if (!kLimitsMemory) return;
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  statm >> pages;
  const rlim_t most =
      pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) + (std::uint64_t{1} << 30);
  const rlimit both{most, most};
  setrlimit(RLIMIT_AS, &both);
}

using SayLine = std::function<void(const std::string& line)>;

/// Runs `body` in a child and returns the lines that it said. A child that does not reach its end
/// is a failure of the test. REQUIRES: this process has no other threads.
inline std::string say_in_child(const std::function<void(const SayLine& say)>& body) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    limit_memory();
    body([&](const std::string& line) {
      const std::string text = line + "\n";
      if (write(ends[1], text.data(), text.size()) < 0) _exit(9);
    });
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char part[4096];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) {
    said.append(part, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return said;
}

}  // namespace cllm
