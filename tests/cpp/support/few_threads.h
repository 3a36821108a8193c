// A process may be allowed few threads; this records what it says when more are asked for.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "cllm/error.h"

namespace cllm {

/// Returns what `ask` says in a separate process that may have a dozen threads, and whether the
/// number of workers that it names works there; "" when the limit does not apply here.
inline std::string said_with_few_threads(const std::function<void()>& ask,
                                         const std::function<void(std::int64_t)>& with_workers) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    constexpr rlim_t kProcesses = 12;  // threads count, and the process itself
    const rlimit limit{kProcesses, kProcesses};
    const bool limited =  // root has no limits
        (::geteuid() != 0 || ::setuid(65534) == 0) && ::setrlimit(RLIMIT_NPROC, &limit) == 0;
    std::string said;
    try {
      if (limited) ask();
    } catch (const Error& error) {
      said = error.what();
      const std::string words = "(--workers ";
      const std::size_t at = said.find(words);
      if (at != std::string::npos) {
        with_workers(std::atoll(said.c_str() + at + words.size()));
        said += " and it does";
      }
    } catch (const std::exception& error) {
      said = std::string("not an Error: ") + error.what();
    }
    [[maybe_unused]] const ssize_t n = ::write(ends[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said(4096, '\0');
  const ssize_t size = ::read(ends[0], said.data(), said.size());
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) return "the process ended with status " + std::to_string(status);
  said.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return said;
}

}  // namespace cllm
