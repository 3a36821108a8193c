// A thread puts a seccomp filter on itself that traps every system call except futex.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <thread>

namespace cllm {

/// Counts what was trapped while `watching`, by number. A trapped call is not done and returns
/// ENOSYS.
struct TrappedCalls {
  std::atomic<bool> watching{false};
  std::array<std::atomic<long>, 1024> count{};
  std::atomic<long> all{0};
};
inline TrappedCalls trapped_calls;

inline void on_trapped_call(int, siginfo_t* info, void* context) {
  const auto number = static_cast<std::size_t>(info->si_syscall);
  if (trapped_calls.watching.load()) {
    ++trapped_calls.all;
    if (number < trapped_calls.count.size()) ++trapped_calls.count[number];
  }
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

/// Installs the handler; call it once, before any thread traps.
inline void handle_trapped_calls() {
  struct sigaction action = {};
  action.sa_sigaction = on_trapped_call;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSYS, &action, nullptr);
}

/// Lets the calling thread make no call but futex and its own end from here on. False: not allowed.
inline bool trap_calls_of_this_thread() {
  const auto allow = [](unsigned number, unsigned char left) {
    return sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, left, 0);
  };
  std::array<sock_filter, 9> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      allow(SYS_futex, 4),
      allow(SYS_exit, 3),
      allow(SYS_exit_group, 2),
      allow(SYS_rt_sigreturn, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// Says whether traps work here at all, by a try on a separate thread: getpid must be trapped, and
/// the clock must not be.
inline bool traps_work() {
  handle_trapped_calls();
  bool trapped = false, clock_free = false;
  std::thread([&] {
    if (!trap_calls_of_this_thread()) return;
    trapped_calls.watching = true;
    syscall(SYS_getpid);
    trapped = trapped_calls.count[SYS_getpid].exchange(0) == 1;
    trapped_calls.all = 0;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_free = trapped_calls.all.exchange(0) == 0;
    trapped_calls.watching = false;
  }).join();
  return trapped && clock_free;
}

}  // namespace cllm
