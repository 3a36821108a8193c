#include "cllm/stop_signals.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <initializer_list>
#include <string_view>

namespace cllm {
namespace {

constexpr std::int64_t kPatienceMs = 1000;  // what comes sooner is the same request

// Handlers write all of these, on any thread; they are lock-free, as handlers need.
std::atomic<bool> caught{false};
std::atomic<bool> announcing{false};
std::atomic<bool> stop_asked{false};
std::atomic<bool> save_asked{false};
std::atomic<bool> over{false};                 // the trainer has done what was asked
std::atomic<std::int64_t> interrupted_at{-1};  // ms, the first SIGINT; -1: none
std::atomic<Trainer*> target{nullptr};
std::atomic<int> inside{0};  // handlers that may hold a target
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
static_assert(std::atomic<std::int64_t>::is_always_lock_free);
static_assert(std::atomic<Trainer*>::is_always_lock_free);

// These are the chain of StopBeforeInterrupt.
std::atomic<Trainer*> chained{nullptr};
struct sigaction behind{};  // written before the handler that reads it is installed
// This is the trainer of the newest StopInsteadOfEnd.
std::atomic<Trainer*> ended{nullptr};

std::int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // safe in a handler
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

/// Writes to stderr, unless that would block: a terminal that is stopped, or a pipe that nobody
/// reads, must not hold a handler.
void say(std::string_view text) {
  if (!announcing.load()) return;
  pollfd out{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

/// Says whether this SIGINT is a second request, not the first or a part of it.
bool is_second(std::int64_t now) {
  std::int64_t first = -1;
  if (interrupted_at.compare_exchange_strong(first, now)) return false;
  return now - first > kPatienceMs;
}

void ask_to_stop(int number) {
  if (over.load()) return;
  if (number == SIGINT && is_second(now_ms())) {
    std::signal(number, SIG_DFL);
    raise(number);  // ends the process when this handler returns
    return;
  }
  // Both sides store first and look second, so one of them sees the other.
  const bool again = stop_asked.exchange(true);
  if (Trainer* trainer = target.load()) trainer->request_stop();
  if (!again) say("\nstopping and saving the last complete step; Ctrl-C again ends at once\n");
}

void ask_to_save() {
  if (over.load()) return;
  save_asked.store(true);
  if (Trainer* trainer = target.load()) {
    if (save_asked.exchange(false)) trainer->request_save();
  }
}

void on_signal(int number) {
  const int saved = errno;
  inside.fetch_add(1);
  if (number == SIGUSR1) {
    ask_to_save();
  } else {
    ask_to_stop(number);
  }
  inside.fetch_sub(1);
  errno = saved;
}

void on_chained(int number, siginfo_t* info, void* context) {
  const int saved = errno;
  inside.fetch_add(1);
  if (Trainer* trainer = chained.load()) trainer->request_stop();
  const struct sigaction next = behind;
  inside.fetch_sub(1);
  errno = saved;
  if ((next.sa_flags & SA_SIGINFO) != 0) {
    next.sa_sigaction(number, info, context);
  } else {
    next.sa_handler(number);
  }
}

void on_end(int) {
  const int saved = errno;
  inside.fetch_add(1);
  if (Trainer* trainer = ended.load()) trainer->request_stop();
  inside.fetch_sub(1);
  errno = saved;
}

/// Says whether the action is this handler.
bool is_handler(const struct sigaction& action, void (*handler)(int)) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

/// Waits until no handler holds what was stored before. Only a handler on another thread still can;
/// one on this thread ends before the thread continues.
void wait_for_handlers() {
  while (inside.load() != 0) {
  }
}

}  // namespace

void catch_stop_signals(bool announce) {
  announcing.store(announce);
  if (caught.exchange(true)) return;
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1}) {
    struct sigaction inherited{};
    sigaction(number, nullptr, &inherited);
    const bool is_ignored =
        (inherited.sa_flags & SA_SIGINFO) == 0 && inherited.sa_handler == SIG_IGN;
    if (!is_ignored) sigaction(number, &action, nullptr);
  }
}

bool catches_stop_signals() noexcept { return caught.load(); }

StopOnSignal::StopOnSignal(Trainer& trainer) {
  over.store(false);
  target.store(&trainer);
  if (stop_asked.load()) trainer.request_stop();
  if (save_asked.exchange(false)) trainer.request_save();
}

StopOnSignal::~StopOnSignal() {
  over.store(true);
  target.store(nullptr);
  wait_for_handlers();
}

StopBeforeInterrupt::StopBeforeInterrupt(Trainer& trainer) {
  before_ = chained.exchange(&trainer);
  struct sigaction now{};
  sigaction(SIGINT, nullptr, &now);
  const bool has_info = (now.sa_flags & SA_SIGINFO) != 0;
  if (has_info && now.sa_sigaction == on_chained) return;
  if (!has_info && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN)) return;
  behind = now;
  struct sigaction action{};
  action.sa_sigaction = on_chained;
  action.sa_flags = now.sa_flags | SA_SIGINFO;
  action.sa_mask = now.sa_mask;
  installed_ = sigaction(SIGINT, &action, nullptr) == 0;
}

StopBeforeInterrupt::~StopBeforeInterrupt() {
  if (installed_) {
    struct sigaction now{};
    sigaction(SIGINT, nullptr, &now);
    // If another handler was installed meanwhile, it stays.
    const bool is_ours = (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_chained;
    if (is_ours) sigaction(SIGINT, &behind, nullptr);
  }
  chained.store(before_);
  wait_for_handlers();
}

StopInsteadOfEnd::StopInsteadOfEnd(Trainer& trainer) {
  before_ = ended.exchange(&trainer);
  struct sigaction now{};
  sigaction(SIGTERM, nullptr, &now);
  if (!is_handler(now, SIG_DFL)) return;
  struct sigaction action{};
  action.sa_handler = on_end;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  installed_ = sigaction(SIGTERM, &action, nullptr) == 0;
}

StopInsteadOfEnd::~StopInsteadOfEnd() {
  if (installed_) {
    struct sigaction now{};
    sigaction(SIGTERM, nullptr, &now);
    // If another handler was installed meanwhile, it stays.
    if (is_handler(now, on_end)) std::signal(SIGTERM, SIG_DFL);
  }
  ended.store(before_);
  wait_for_handlers();
}

}  // namespace cllm
