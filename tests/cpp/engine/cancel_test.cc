// A step that is cancelled at any moment either changes nothing or is complete. What follows has
// the bits of a run that nobody cancelled.
#include <cmath>
#include <fstream>
#include <random>

#include "data/evaluation_windows.h"
#include "data/token_source.h"
#include "elastic.h"
#include "sanitized.h"

namespace cllm {
namespace {

using std::chrono::seconds;

constexpr int kSteps = 6;

/// Steps that are tried again until they are complete, as a trainer would.
class CancelledRun {
 public:
  CancelledRun(const TrainingCase& c, std::int64_t threads) : text_(c), tile_limit_(-1) {
    SessionConfig config = session_config(c, threads);
    config.tree.before_tile = [this](int, const TileClaim&) {
      tiles_.fetch_add(1, std::memory_order_relaxed);
      if (tile_limit_.fetch_sub(1, std::memory_order_relaxed) == 0) {
        cancel_.store(true, std::memory_order_relaxed);
      }
    };
    session_ = std::make_unique<Session>(config);
    session_->set_cancel(&cancel_);
    start_weights(state());
  }

  /// One try; the flag is set at the start of that tile, or never, or by whoever holds it.
  StepOutcome step(int step, int cancel_at) {
    text_.fill(step, inputs_, targets_);
    tile_limit_.store(cancel_at, std::memory_order_relaxed);
    tiles_.store(0, std::memory_order_relaxed);
    const StepOutcome out = session_->step(step, {inputs_.data(), targets_.data()});
    EXPECT_FALSE(out.skipped);
    EXPECT_EQ(out.cancelled, !std::isfinite(out.loss));
    return out;
  }
  /// The same, which leaves all as it was when it is cancelled.
  bool completes(int step, int cancel_at) {
    const std::string before = digest(state());
    const bool cancelled = this->step(step, cancel_at).cancelled;
    EXPECT_EQ(cancelled, digest(state()) == before);
    cancel_.store(false, std::memory_order_relaxed);
    return !cancelled;
  }

  int tiles() const { return tiles_.load(std::memory_order_relaxed); }
  ModelState& state() { return session_->state(); }
  Session& session() { return *session_; }
  std::atomic<bool>& flag() { return cancel_; }

 private:
  const TextBatches text_;
  std::atomic<int> tile_limit_, tiles_{0};
  std::atomic<bool> cancel_{false};
  std::unique_ptr<Session> session_;  // whose threads use what is above
  std::vector<std::int32_t> inputs_, targets_;
};

std::string undisturbed(const TrainingCase& c) {
  TrainingRun run(c, 1, false);
  run.train(kSteps);
  return digest(run.state());
}

class TrainCancel : public testing::TestWithParam<std::int64_t> {};

TEST_P(TrainCancel, AtAnyTileChangesNothingOrNothingMore) {
  const Watchdog watchdog("cancelled at tiles", seconds(250));
  for (const TrainingCase& c : fewer_if_sanitized(training_cases())) {
    if (is_heavy(c) && GetParam() != 3) continue;
    SCOPED_TRACE(c.name);
    CancelledRun run(c, GetParam());
    std::mt19937 random(static_cast<std::uint32_t>(GetParam()));
    int tiles = 0, cancelled = 0;
    for (int step = 0; step < kSteps; ++step) {
      for (int attempt = 0; step > 0 && attempt < 6; ++attempt) {
        // Early, anywhere, or among the last, which are norms and updates.
        const int some[] = {attempt, static_cast<int>(random()) % tiles, tiles - 1 - attempt};
        const int at = std::abs(some[attempt % 3]);
        if (run.completes(step, at)) {
          EXPECT_GT(at, tiles / 2);
          break;
        }
        EXPECT_LE(run.tiles(), at + 400) << "tiles that were taken after the flag was set";
        ++cancelled;
        if (attempt == 5) {
          EXPECT_TRUE(run.completes(step, -1));
        }
      }
      if (step == 0) {
        EXPECT_TRUE(run.completes(step, -1));
        tiles = run.tiles();
      }
    }
    EXPECT_GE(cancelled, kSteps);
    EXPECT_EQ(run.state().updates, kSteps);
    EXPECT_EQ(digest(run.state()), undisturbed(c));
  }
}

TEST_P(TrainCancel, FromAnotherThreadAtAnyTime) {
  const Watchdog watchdog("cancelled from another thread", seconds(250));
  const TrainingCase c = training_cases().front();
  CancelledRun run(c, GetParam());
  std::atomic<bool> over{false}, calm{false};
  std::thread other([&] {
    std::mt19937 random(11);
    while (!over.load()) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
      if (calm.load()) continue;
      run.flag().store(true, std::memory_order_relaxed);
      // It may be taken back at once: a step that left something out is cancelled all the same.
      if (random() % 2 == 0) run.flag().store(false, std::memory_order_relaxed);
    }
  });
  for (int step = 0; step < kSteps; ++step) {
    // A slow build makes no step between two requests: after some the step is left alone.
    for (int attempt = 0; run.step(step, -1).cancelled; ++attempt) {
      calm.store(attempt >= 10);
      run.flag().store(false, std::memory_order_relaxed);
    }
    calm.store(false);
  }
  over.store(true);
  other.join();
  EXPECT_EQ(digest(run.state()), undisturbed(c));
}

TEST_P(TrainCancel, EndsAnEvaluation) {
  const Watchdog watchdog("cancelled evaluations", seconds(100));
  const TrainingCase c = training_cases().front();
  CancelledRun run(c, GetParam());
  std::vector<std::uint16_t> tokens;
  for (const char character : english()) {
    tokens.push_back(static_cast<std::uint16_t>(static_cast<unsigned char>(character) % 101));
  }
  TemporaryFolder folder;
  const std::string path = folder.path() + "/tokens.bin";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(tokens.data()),
             static_cast<std::streamsize>(2 * tokens.size()));
  const TokenSource source(path, 101);
  const EvaluationWindows windows(whole(source), c.sequence);
  const double loss = run.session().evaluate(windows);
  EXPECT_TRUE(std::isfinite(loss));
  run.flag().store(true);
  EXPECT_TRUE(std::isnan(run.session().evaluate(windows)));
  run.flag().store(false);
  EXPECT_EQ(run.session().evaluate(windows), loss);
  EXPECT_TRUE(run.completes(0, -1));
}

// 1, 2, 13 and 51 workers, the last on 64 spheres.
INSTANTIATE_TEST_SUITE_P(Threads, TrainCancel, testing::Values(1, 3, 16, 64));

}  // namespace
}  // namespace cllm
