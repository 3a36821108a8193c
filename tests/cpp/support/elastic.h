// Training whose threads change at random between steps, on batches that are routed, must give the
// bits of one sphere that is left alone.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/step_batches.h"
#include "one_answer.h"

namespace cllm {

/// Says what happens to the threads during a run.
enum class Threads {
  kSteady,  ///< nothing
  kRandom,  ///< before half of the steps the number of spheres, or of active ones, changes
  kAuto,    ///< the session looks for the fastest number
};

class ElasticRun {
 public:
  /// Makes a run; `seed` decides which steps change and to which numbers.
  ElasticRun(const TrainingCase& c, Routing routing, Threads threads, std::uint32_t seed)
      : threads_(threads),
        seed_(seed),
        text_(c),
        sizes_(one_answer_threads(c)),
        session_(config_of(c)),
        batches_(session_.plan(), routing, session_.config().model.symmetry_order,
                 [this](std::int64_t step, const RowsToFill& to) {
                   text_.fill(static_cast<int>(step), drawn_[0], drawn_[1]);
                   std::copy(drawn_[0].begin(), drawn_[0].end(), to.inputs);
                   std::copy(drawn_[1].begin(), drawn_[1].end(), to.targets);
                 }) {
    sizes_.push_back(200);
    initialize(session_.config().model, session_.state().layout, 7,
               session_.state().parameters.data());
  }

  std::string trained(int steps) {
    for (int step = 0; step < steps; ++step) {
      if (threads_ == Threads::kRandom) change_threads(step);
      bool late = false;
      const StepBatch& batch = batches_.take(step, late);
      const auto ahead = [this, step] { batches_.prepare(step + 1); };
      const StepOutcome out = session_.step(step, batch.rows(), ahead, batch.sequences.data());
      EXPECT_FALSE(out.skipped);
    }
    return digest(session_.state());
  }

  /// Counts the changes of threads.
  int changes() const { return changes_; }
  const Session& session() const { return session_; }

 private:
  SessionConfig config_of(const TrainingCase& c) {
    SessionConfig config = session_config(c, threads_ == Threads::kSteady ? 1 : 14);
    if (threads_ == Threads::kSteady) return config;
    delays_.inject(config.tree);
    if (threads_ == Threads::kAuto) {
      config.tune_workers = true;
      config.tree.activate_all = false;
      config.tree.cores = 8;  // that many are tried, whatever the machine has
    }
    return config;
  }

  void change_threads(int step) {
    const RandomBlock block =
        random_block(3, RandomStream::kTest, seed_, static_cast<std::uint64_t>(step));
    const std::uint64_t what = random_bits64(block, 0) % 4, which = random_bits64(block, 1);
    if (what >= 2) return;
    if (what == 0) {
      session_.resize(sizes_[static_cast<std::size_t>(which % sizes_.size())]);
    } else {
      const auto most = static_cast<std::uint64_t>(session_.tree().most_active_workers());
      session_.set_active(1 + static_cast<int>(which % most));
    }
    ++changes_;
  }

  const Threads threads_;
  const std::uint32_t seed_;
  const TextBatches text_;
  std::vector<std::int64_t> sizes_;
  std::vector<std::int32_t> drawn_[2];
  BorderDelays delays_;
  int changes_ = 0;
  Session session_;
  StepBatches batches_;
};

/// Tries both routings, each in `runs` random runs and one that looks for the fastest number.
inline void expect_elastic(const TrainingCase& c, int steps, std::uint32_t runs) {
  const Watchdog watchdog("elastic training " + c.name, std::chrono::seconds(1500));
  int changes = 0;
  std::string answers[2];
  for (Routing routing : {Routing::kSymmetry, Routing::kRoundRobin}) {
    const std::string expected = ElasticRun(c, routing, Threads::kSteady, 0).trained(steps);
    answers[routing == Routing::kSymmetry ? 0 : 1] = expected;
    for (std::uint32_t seed = 1; seed <= runs; ++seed) {
      ElasticRun run(c, routing, Threads::kRandom, seed);
      EXPECT_EQ(run.trained(steps), expected) << "seed " << seed;
      changes += run.changes();
    }
    ElasticRun automatic(c, routing, Threads::kAuto, 0);
    EXPECT_EQ(automatic.trained(steps), expected) << "auto";
    EXPECT_EQ(automatic.session().tree().most_active_workers(), 8);
  }
  EXPECT_GE(changes, steps * static_cast<int>(runs) / 2)
      << "a quarter of the steps of both routings";
  EXPECT_EQ(answers[0] == answers[1], c.positions == 1) << "routing matters where it can";
}

}  // namespace cllm
