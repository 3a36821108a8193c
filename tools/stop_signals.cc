#include "stop_signals.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <string_view>

namespace {

// Written by the handler, on any thread; lock-free, as a handler needs.
std::atomic<bool> asked{false};
std::atomic<bool> announcing{false};
std::atomic<cllm::Trainer*> target{nullptr};
static_assert(std::atomic<bool>::is_always_lock_free);
static_assert(std::atomic<cllm::Trainer*>::is_always_lock_free);

// `timeout`, job schedulers and shells may deliver one request twice: only a signal that comes this
// much later is a second one, and ends the process at once.
constexpr time_t kPatienceSeconds = 1;
std::atomic<time_t> first_second{0};
static_assert(std::atomic<time_t>::is_always_lock_free);

void on_signal(int number) {
  const int saved = errno;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // safe in a handler
  if (asked.load()) {
    if (now.tv_sec > first_second.load() + kPatienceSeconds) {
      std::signal(number, SIG_DFL);
      raise(number);
    }
    errno = saved;
    return;
  }
  first_second.store(now.tv_sec);
  // Both sides store first and look second, so one of them sees the other.
  asked.store(true);
  if (cllm::Trainer* trainer = target.load()) trainer->request_stop();
  if (announcing.load()) {
    constexpr std::string_view kText = "\nstopping after this step and saving\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText.data(), kText.size());
  }
  errno = saved;
}

}  // namespace

void catch_stop_signals(bool announce) {
  announcing.store(announce);
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

StopOnSignal::StopOnSignal(cllm::Trainer& trainer) {
  target.store(&trainer);
  if (asked.load()) trainer.request_stop();
}

StopOnSignal::~StopOnSignal() { target.store(nullptr); }
