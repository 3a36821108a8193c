// The threads of a model in training may change: to another number, or to another process.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>

#include "cllm/error.h"
#include "session_fixture.h"
#include "watchdog.h"

namespace cllm {
namespace {

class Resize : public testing::Test {
 protected:
  static void start(Session& session) {
    ModelState& state = session.state();
    start_weights(state);
  }
  void step(Session& session, int number) {
    batches_.fill(number, inputs_, targets_);
    session.step(number, {inputs_.data(), targets_.data()});
  }

  const TrainingCase case_ = training_cases()[0];
  const TextBatches batches_{case_};
  std::vector<std::int32_t> inputs_, targets_;
};

TEST_F(Resize, KeepsEveryBit) {
  Session steady(session_config(case_, 1)), changing(session_config(case_, 1));
  start(steady);
  start(changing);
  const std::int64_t threads[] = {1, 14, 4, 2, 1, 64};
  for (int number = 0; number < 6; ++number) {
    step(steady, number);
    changing.resize(threads[number]);
    EXPECT_EQ(changing.config().threads, threads[number]);
    step(changing, number);
    EXPECT_EQ(weights_digest(changing.state()), weights_digest(steady.state())) << number;
  }
}

TEST_F(Resize, FewerAtWorkKeepEveryBit) {
  const Watchdog watchdog("a changing number at work", std::chrono::seconds(100));
  Session steady(session_config(case_, 1)), changing(session_config(case_, 14));
  start(steady);
  start(changing);
  const int workers[] = {11, 1, 3, 2, 11, 7};
  for (int number = 0; number < 12; ++number) {
    step(steady, number);
    changing.set_active(workers[number % 6]);
    step(changing, number);
    EXPECT_EQ(weights_digest(changing.state()), weights_digest(steady.state())) << number;
  }
}

TEST_F(Resize, TuningKeepsEveryBitAndSettles) {
  const Watchdog watchdog("tuning", std::chrono::seconds(100));
  SessionConfig config = session_config(case_, 14);
  config.tree.activate_all = false;
  config.tree.cores = 8;  // so many are tried, whatever the machine has
  config.tune_workers = true;
  Session steady(session_config(case_, 1)), tuned(config);
  start(steady);
  start(tuned);
  EXPECT_EQ(tuned.tree().active_workers(), 8);
  int number = 0;
  for (; !tuned.tuner().settled() && number < 300; ++number) {
    step(steady, number);
    step(tuned, number);
  }
  EXPECT_TRUE(tuned.tuner().settled());
  EXPECT_GE(tuned.tuner().trials().size(), 2u);
  EXPECT_EQ(tuned.tree().active_workers(), tuned.tuner().workers());
  EXPECT_EQ(weights_digest(tuned.state()), weights_digest(steady.state())) << number << " steps";
  tuned.resize(4);
  EXPECT_TRUE(tuned.tuner().settled()) << "a number that was asked for is kept";
  EXPECT_EQ(tuned.tree().active_workers(), 3);
}

TEST_F(Resize, AGradientOutlivesItsThreads) {
  Session session(session_config(case_, 4));
  start(session);
  step(session, 0);
  const float* gradient = session.gradient();
  const std::shared_ptr<const void> owner = session.gradient_owner();
  const std::vector<float> before(gradient, gradient + 100);
  session.resize(2);
  step(session, 1);
  EXPECT_EQ(std::vector<float>(gradient, gradient + 100), before);
}

TEST_F(Resize, WhatCannotBeHadChangesNothing) {
  Session session(session_config(case_, 4)), steady(session_config(case_, 4));
  start(session);
  start(steady);
  EXPECT_THROW(session.resize(0), InputError);
  EXPECT_EQ(session.config().threads, 4);
  step(session, 0);
  step(steady, 0);
  EXPECT_EQ(weights_digest(session.state()), weights_digest(steady.state()));
}

/// What a forked child finds, as its exit status: bits for what went as it should.
int in_the_child(Session& session, const std::function<void()>& step) {
  int status = 0;
  try {
    step();
  } catch (const Error& error) {
    if (std::string(error.what()).find("forked") != std::string::npos) status |= 1;
  }
  session.resize(2);  // the old threads are forgotten, not waited for
  step();
  return status | 2;
}

TEST_F(Resize, AForkedChildIsToldAtOnce) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts threads";
#endif
  Session session(session_config(case_, 4));
  start(session);
  step(session, 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // a hang is a failure
    ::_exit(in_the_child(session, [&] { step(session, 1); }));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 3);
  step(session, 1);  // the parent goes on
}

}  // namespace
}  // namespace cllm
