// The next step batch is ready before it is needed, and a source that is too slow is reported.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "engine/step_batches.h"
#include "session_fixture.h"
#include "watchdog.h"

namespace cllm {
namespace {

/// How long a batch takes to come.
enum class Source { kFast, kSlow };

class Prefetch : public testing::Test {
 protected:
  static constexpr int kSteps = 4;

  /// Steps whose workers waited, of kSteps whose first tiles take a millisecond each.
  int late_steps(std::int64_t threads, Source source) {
    SessionConfig config = session_config(case_, threads);
    config.tree.before_tile = [this](int, const TileClaim& claim) {
      if (claim.phase == 0) std::this_thread::sleep_for(kMillisecond);
      last_tile_ns_.store(now_ns(), std::memory_order_relaxed);
    };
    Session session(config);
    start_weights(session.state());
    const TextBatches text(case_);
    std::vector<std::int32_t> drawn[2];
    StepBatches batches(session.plan(), Routing::kSymmetry, 12,
                        [&](std::int64_t step, const RowsToFill& to) {
                          if (source == Source::kSlow) wait_until_quiet();
                          text.fill(static_cast<int>(step), drawn[0], drawn[1]);
                          std::copy(drawn[0].begin(), drawn[0].end(), to.inputs);
                          std::copy(drawn[1].begin(), drawn[1].end(), to.targets);
                        });
    batches.prepare(0);
    last_tile_ns_ = now_ns();
    int late = 0;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      std::this_thread::sleep_for(kMillisecond);  // all have said that they are idle
      bool missing = false;
      const StepBatch& batch = batches.take(step, missing);
      EXPECT_FALSE(missing) << "laid out while the workers were at the step before";
      const auto ahead = [&] { batches.prepare(step + 1); };
      late += session.step(step, batch.rows(), ahead).waited ? 1 : 0;
    }
    return late;
  }

  static constexpr std::chrono::milliseconds kMillisecond{1};

  /// Until no tile has been started for a while.
  void wait_until_quiet() const {
    constexpr std::uint64_t kQuietNs = 60'000'000;
    while (last_tile_ns_.load(std::memory_order_relaxed) + kQuietNs > now_ns()) {
      std::this_thread::sleep_for(kMillisecond);
    }
  }

  std::atomic<std::uint64_t> last_tile_ns_{0};
  const Watchdog watchdog_{"prefetching", std::chrono::seconds(100)};
  const TrainingCase case_ = training_cases()[0];
};

TEST_F(Prefetch, NobodyWaitsForAFastSource) {
  for (std::int64_t threads : {2, 3, 14}) {
    EXPECT_EQ(late_steps(threads, Source::kFast), 0) << threads << " spheres";
  }
}

TEST_F(Prefetch, ASlowSourceIsCounted) {
  for (std::int64_t threads : {2, 3, 14}) {
    EXPECT_EQ(late_steps(threads, Source::kSlow), kSteps) << threads << " spheres";
  }
}

// The one sphere lays out the batch itself before it computes: nobody else could wait.
TEST_F(Prefetch, OneSphereWaitsForNobody) { EXPECT_EQ(late_steps(1, Source::kSlow), 0); }

}  // namespace
}  // namespace cllm
