// Signals arrive in a separate process: these tests check what ends it, what is remembered, and
// what counts as one request.
#include "cllm/stop_signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

namespace cllm {
namespace {

constexpr int kEnded = 7;

/// How a child that runs `body` ended: its exit code, or minus the number of the signal.
int outcome_of(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    body();
    ::_exit(kEnded);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void wait_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

TEST(StopSignals, OneOfEachIsRemembered) {
  EXPECT_EQ(outcome_of([] {
              catch_stop_signals(false);
              for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1}) raise(number);
            }),
            kEnded);
}

TEST(StopSignals, OneRequestMayBeDeliveredTwice) {
  EXPECT_EQ(outcome_of([] {
              catch_stop_signals(false);
              for (int i = 0; i < 4; ++i) raise(SIGINT), wait_ms(100);
            }),
            kEnded);
}

TEST(StopSignals, ASecondInterruptEndsTheProcess) {
  EXPECT_EQ(outcome_of([] {
              catch_stop_signals(false);
              raise(SIGINT);
              wait_ms(1100);
              raise(SIGINT);
              wait_ms(10000);
            }),
            -SIGINT);
}

// SIGXCPU comes every second until the hard limit; a scheduler may repeat itself.
TEST(StopSignals, OthersNeverEndAProcessThatIsSaving) {
  EXPECT_EQ(outcome_of([] {
              catch_stop_signals(false);
              for (int i = 0; i < 2; ++i) {
                for (const int number : {SIGTERM, SIGHUP, SIGXCPU}) raise(number);
                wait_ms(1100);
              }
              raise(SIGINT);  // the first one
            }),
            kEnded);
}

TEST(StopSignals, WhatWasIgnoredStaysIgnored) {
  EXPECT_EQ(outcome_of([] {
              std::signal(SIGINT, SIG_IGN);
              catch_stop_signals(false);
              raise(SIGINT);
              wait_ms(1100);
              raise(SIGINT);
            }),
            kEnded);
}

// A full pipe must not hold the handler.
TEST(StopSignals, AnnouncingDoesNotWait) {
  EXPECT_EQ(outcome_of([] {
              int ends[2];
              if (::pipe(ends) != 0) return;
              ::dup2(ends[1], STDERR_FILENO);
              const std::string much(1 << 20, 'x');
              std::thread([&] {
                [[maybe_unused]] auto n = ::write(2, much.data(), much.size());
              }).detach();
              wait_ms(200);
              catch_stop_signals(true);
              raise(SIGTERM);
            }),
            kEnded);
}

}  // namespace
}  // namespace cllm
