// A system that gives fewer threads than asked for: the message says how many, and what works.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <regex>
#include <string>

#include "cllm/error.h"
#include "cllm/tree_plan.h"
#include "spheres/tree.h"

namespace cllm {
namespace {

constexpr int kThreads = 64;
constexpr rlim_t kProcesses = 12;  // threads count, and the process itself

void make_tree(std::int64_t threads) {
  TreeOptions options;
  options.cores = 1;
  const SphereTree tree(plan_tree(threads), options);
}

/// What a process says that may have so few threads and wants kThreads, then whether the number of
/// workers that it was told works.
std::string said_under_limit() {
  if (::geteuid() == 0 && ::setuid(65534) != 0) return "cannot become nobody";
  const rlimit limit{kProcesses, kProcesses};
  if (::setrlimit(RLIMIT_NPROC, &limit) != 0) return "cannot be limited";
  try {
    make_tree(kThreads);
    return "no limit";
  } catch (const Error& error) {
    const std::string text = error.what();
    std::smatch found;
    if (!std::regex_search(text, found, std::regex("--workers ([0-9]+) works"))) return text;
    make_tree(threads_for_workers(std::stoll(found[1])));
    return text + " and it does";
  }
}

TEST(FewThreads, AreSaidWithTheNumberThatWorks) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    std::string said;
    try {
      said = said_under_limit();
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
  ::waitpid(child, nullptr, 0);
  ASSERT_GT(size, 0);
  said.resize(static_cast<std::size_t>(size));
  if (said == "no limit" || said.rfind("cannot", 0) == 0) GTEST_SKIP() << said;
  EXPECT_TRUE(std::regex_match(
      said, std::regex("the system gives no more threads \\(.*\\): got [0-9]+, expected 63 for 51 "
                       "workers \\(--workers [0-9]+ works; .*\\) and it does")))
      << said;
}

}  // namespace
}  // namespace cllm
