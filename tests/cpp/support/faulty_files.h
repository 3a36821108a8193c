// File calls fail, are short, or are the last before a crash, as a test plans it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

#include "base/file_calls.h"

namespace cllm {

enum class FileFault {
  kNone,       ///< calls are only counted
  kFail,       ///< the call fails with `code` and does nothing
  kFailFrom,   ///< that call and all later ones of the plan fail
  kShort,      ///< a read or write moves half of what was asked (at least one byte)
  kCrash,      ///< the process ends after the call
  kTornCrash,  ///< the process ends after half of a write
};

struct FaultPlan {
  FileFault fault = FileFault::kNone;
  std::int64_t at = 0;  ///< number of the call, from 0
  int code = EIO;
  const char* only = nullptr;  ///< the name of a call: others are neither counted nor changed
};

constexpr int kCrashed = 137;

/// Follows a plan. Nothing is forced to the disk: an fsync counts like other calls but is not done,
/// because the crash of a process loses nothing that the kernel holds, and tests need not wait for
/// a disk. Only one may live at a time; the code under test may have threads.
class FaultyFiles {
 public:
  explicit FaultyFiles(const FaultPlan& plan) : scope_(table()) {
    state().plan = plan;
    state().calls = 0;
    state().struck = nullptr;
  }
  std::int64_t calls() const { return state().calls; }
  /// Returns the name of the call that the plan struck, "" when there were not that many.
  std::string struck() const {
    const char* const name = state().struck;
    return name == nullptr ? "" : name;
  }

 private:
  struct State {
    FaultPlan plan;
    std::atomic<std::int64_t> calls{0};
    std::atomic<const char*> struck{nullptr};
  };
  static State& state() {
    static State s;
    return s;
  }

  static FileFault judge(const char* name) {
    State& s = state();
    if (s.plan.only != nullptr && std::string(name) != s.plan.only) return FileFault::kNone;
    const std::int64_t n = s.calls++;
    const bool met = n == s.plan.at || (s.plan.fault == FileFault::kFailFrom && n > s.plan.at);
    if (!met || s.plan.fault == FileFault::kNone) return FileFault::kNone;
    s.struck = name;
    return s.plan.fault;
  }

  template <class R>
  static R failed() {
    if constexpr (std::is_pointer_v<R>) return nullptr;
    if constexpr (!std::is_pointer_v<R>) return R(-1);
  }

  template <auto Member>
  struct Tag {
    inline static const char* name = "";
  };
  template <auto Member, auto... Others>
  static constexpr bool kIsOneOf = (std::is_same_v<Tag<Member>, Tag<Others>> || ...);

  template <auto Member, class R, class... A>
  static R call(A... args) {
    const FileFault fault = judge(Tag<Member>::name);
    const bool crash = fault == FileFault::kCrash || fault == FileFault::kTornCrash;
    const auto real = system_file_calls().*Member;
    if (fault == FileFault::kFail || fault == FileFault::kFailFrom) {
      // A close that fails still closes, as on Linux.
      if constexpr (kIsOneOf<Member, &FileCalls::close, &FileCalls::closedir>) real(args...);
      errno = state().plan.code;
      return failed<R>();
    }
    std::tuple<A...> given(args...);
    if constexpr (kIsOneOf<Member, &FileCalls::read, &FileCalls::write, &FileCalls::pread,
                           &FileCalls::pwrite>) {
      std::size_t& size = std::get<2>(given);
      if (fault == FileFault::kShort || fault == FileFault::kTornCrash) size -= size / 2;
    }
    R result{};
    if constexpr (!kIsOneOf<Member, &FileCalls::fsync, &FileCalls::fdatasync>) {
      result = std::apply(real, given);
    }
    if (crash) _exit(kCrashed);
    return result;
  }

  template <auto Member, class R, class... A>
  static void replace(FileCalls& table, const char* name, R (*FileCalls::*)(A...)) {
    Tag<Member>::name = name;
    table.*Member = &call<Member, R, A...>;
  }

  static const FileCalls& table() {
    static const FileCalls calls = [] {
      FileCalls t = system_file_calls();
#define CLLM_FAULTY(name) replace<&FileCalls::name>(t, #name, &FileCalls::name)
      CLLM_FAULTY(open);
      CLLM_FAULTY(openat);
      CLLM_FAULTY(close);
      CLLM_FAULTY(read);
      CLLM_FAULTY(write);
      CLLM_FAULTY(pread);
      CLLM_FAULTY(pwrite);
      CLLM_FAULTY(fsync);
      CLLM_FAULTY(fdatasync);
      CLLM_FAULTY(ftruncate);
      CLLM_FAULTY(flock);
      CLLM_FAULTY(fstat);
      CLLM_FAULTY(stat);
      CLLM_FAULTY(lstat);
      CLLM_FAULTY(mkdir);
      CLLM_FAULTY(rmdir);
      CLLM_FAULTY(unlink);
      CLLM_FAULTY(rename);
      CLLM_FAULTY(renameat2);
      CLLM_FAULTY(symlink);
      CLLM_FAULTY(readlink);
      CLLM_FAULTY(opendir);
      CLLM_FAULTY(readdir);
      CLLM_FAULTY(closedir);
#undef CLLM_FAULTY
      return t;
    }();
    return calls;
  }

  FileCallsForTesting scope_;
};

/// Runs `action` in a forked child under a plan that ends in a crash. Returns the child's exit
/// code: kCrashed, 0 when the action ended, 1 when it threw.
template <class F>
int crash_in_child(const FaultPlan& plan, F&& action) {
  const pid_t child = fork();
  if (child == 0) {
    int code = 0;
    {
      const FaultyFiles files(plan);
      try {
        action();
      } catch (...) {
        code = 1;
      }
    }
    _exit(code);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

}  // namespace cllm
