// A steady step does not allocate, call the kernel, lock, send needless messages, or use CPU time
// while parked.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

#include "interposed.h"
#include "packed_text.h"
#include "sanitized.h"
#include "syscall_trap.h"
#include "watchdog.h"

namespace cllm {
namespace {

/// A session after step 2 whose active workers have all run a tile: threads may start late.
class SteadyRun {
 public:
  SteadyRun(const TrainingCase& c, SessionConfig config) : case_(c) {
    config.tree.before_tile = [this, next = config.tree.before_tile](int worker,
                                                                     const TileClaim& claim) {
      if (warming_) std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (next) next(worker, claim);
    };
    session_ = std::make_unique<Session>(config);
    start_weights(session_->state());
    for (int s = 0; s < 2 || (s < 100 && !all_have_worked()); ++s) step();
    EXPECT_TRUE(all_have_worked());
    warming_ = false;
  }
  SteadyRun(const TrainingCase& c, std::int64_t threads)
      : SteadyRun(c, session_config(c, threads)) {}

  void step() {
    draw(case_, step_, text_);
    before_step();
    session_->step(step_++, text_.rows());
    after_step();
  }
  Session& session() { return *session_; }

  std::function<void()> before_step = [] {}, after_step = [] {};

 private:
  bool all_have_worked() const {
    const SphereTree& tree = session_->tree();
    for (int id : tree.plan().workers) {
      if (tree.is_active(id) && tree.counters(id).tiles.get() == 0) return false;
    }
    return true;
  }

  const TrainingCase case_;
  std::atomic<bool> warming_{true};
  std::unique_ptr<Session> session_;
  StepText text_;
  int step_ = 0;
};

/// The fixture's cases, adapters with dropout in both precisions, and packed ones.
std::vector<TrainingCase> steady_cases() {
  std::vector<TrainingCase> cases = training_cases();
  for (const TrainingCase& c : lora_cases()) {
    if (c.lora->dropout > 0) cases.push_back(c);
  }
  for (const TrainingCase& c : packed_cases()) cases.push_back(c);
  return cases;
}

TEST(TrainSteady, NeitherAllocatesNorMapsNorLocks) {
#if !CLLM_INTERPOSED
  GTEST_SKIP() << "a sanitizer stands in front of the C library";
#endif
  const Watchdog watchdog("steady steps", std::chrono::seconds(240));
  calls.start();
  delete new std::string(100, 'x');
  calls.stop();
  ASSERT_GE(calls.allocations, 4) << "the counters must see what is called";
  for (const TrainingCase& c : steady_cases()) {
    for (std::int64_t threads : {1, 3, 4, 14, 64}) {
      SteadyRun run(c, threads);
      run.before_step = [] { calls.start(); };
      run.after_step = [] { calls.stop(); };
      for (int s = 0; s < 3; ++s) {
        run.step();
        EXPECT_EQ(calls.allocations, 0) << c.name << ", " << threads << " spheres";
        EXPECT_EQ(calls.mappings, 0) << c.name << ", " << threads << " spheres";
        EXPECT_EQ(calls.mutexes, 0) << c.name << ", " << threads << " spheres";
      }
    }
  }
}

TEST(TrainSteady, CountsMutexes) {
#if !CLLM_INTERPOSED
  GTEST_SKIP() << "a sanitizer stands in front of the C library";
#endif
  std::mutex mutex;
  calls.start();
  {
    const std::lock_guard<std::mutex> lock(mutex);
  }
  calls.stop();
  EXPECT_EQ(calls.mutexes, 2);
}

std::string trapped_names() {
  std::string names;
  for (std::size_t n = 0; n < trapped_calls.count.size(); ++n) {
    if (trapped_calls.count[n] > 0) {
      names += " " + std::to_string(n) + " x " + std::to_string(trapped_calls.count[n]);
    }
  }
  return names;
}

TEST(TrainSteady, WorkersCallTheKernelForNothingButFutex) {
#if !CLLM_INTERPOSED
  GTEST_SKIP() << "a sanitizer makes calls of its own";
#endif
  if (!traps_work()) GTEST_SKIP() << "seccomp filters are not allowed here, or the clock is a call";
  const Watchdog watchdog("trapped steps", std::chrono::seconds(240));
  for (const TrainingCase& c : training_cases()) {
    for (std::int64_t threads : {3, 13, 14, 64}) {
      std::atomic<bool> trap{false};
      std::atomic<int> trapping{0}, refused{0};
      SessionConfig config = session_config(c, threads);
      config.tree.before_tile = [&](int, const TileClaim&) {
        thread_local bool done = false;
        if (done || !trap.load()) return;
        done = true;
        ++(trap_calls_of_this_thread() ? trapping : refused);
      };
      SteadyRun run(c, config);
      trap = true;
      trapped_calls.watching = true;
      for (int s = 0; s < 4; ++s) run.step();
      trapped_calls.watching = false;
      EXPECT_EQ(refused, 0);
      EXPECT_GE(trapping, 1);
      EXPECT_EQ(trapped_calls.all, 0)
          << c.name << ", " << threads << " spheres:" << trapped_names();
    }
  }
}

std::uint64_t messages(const SphereTree& tree) {
  std::uint64_t sum = 0;
  for (const SpherePlan& s : tree.plan().spheres) sum += tree.counters(s.id).messages_out.get();
  return sum;
}

class SteadyShape : public testing::TestWithParam<TrainingCase> {};

TEST_P(SteadyShape, SendsFewMessages) {
  const Watchdog watchdog("counted steps", std::chrono::seconds(240));
  for (std::int64_t threads : {1, 2, 3, 8, 13, 14, 20, 64, 157}) {
    SteadyRun run(GetParam(), threads);
    const SphereTree& tree = run.session().tree();
    const std::uint64_t before = messages(tree);
    constexpr std::uint64_t kSteps = 4;
    for (std::uint64_t s = 0; s < kSteps; ++s) run.step();
    const auto bound =
        static_cast<std::uint64_t>(4 * tree.workers()) + 2 * run.session().plan().positions.size();
    // A sphere may say Idle after the step that it worked on; it is counted with the next one.
    EXPECT_LE(messages(tree) - before, kSteps * bound + static_cast<std::uint64_t>(threads))
        << threads << " spheres";
    EXPECT_GE(messages(tree) - before, kSteps) << threads << " spheres";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SteadyShape,
                         testing::ValuesIn(fewer_if_sanitized(training_cases())),
                         [](const auto& test) { return test.param.name; });

/// CPU seconds of the spheres that `chosen` names while `meanwhile` runs.
template <class Chosen, class Meanwhile>
double parked_cpu(Session& session, Chosen chosen, Meanwhile meanwhile) {
  const SphereTree& tree = session.tree();
  const auto used = [&] {
    double sum = 0;
    for (const SpherePlan& s : tree.plan().spheres) {
      if (s.id > 0 && chosen(s.id)) sum += tree.cpu_seconds(s.id);
    }
    return sum;
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // who was late falls asleep
  const double before = used();
  meanwhile();
  return used() - before;
}

TEST(TrainSteady, ParkedSpheresCostNothing) {
  const Watchdog watchdog("parked spheres", std::chrono::seconds(240));
  const TrainingCase c = training_cases().back();
  SteadyRun run(c, 14);
  // 1 ms in 5 s, all of them together, which is what one of them may use.
  EXPECT_LT(parked_cpu(
                run.session(), [](int) { return true; },
                [] { std::this_thread::sleep_for(std::chrono::seconds(1)); }),
            0.2e-3);

  SessionConfig config = session_config(c, 64);
  config.tree.activate_all = false;  // the two cores' workers train, the others stay parked
  SteadyRun few(c, config);
  const SphereTree& tree = few.session().tree();
  EXPECT_EQ(tree.active_workers(), 2);
  const double parked = parked_cpu(
      few.session(), [&](int id) { return !tree.is_active(id); },
      [&] {
        const std::uint64_t start = now_ns();
        while (now_ns() - start < 1'000'000'000) few.step();
      });
  EXPECT_LT(parked, 0.2e-3);
}

}  // namespace
}  // namespace cllm
