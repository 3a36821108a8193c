// A training run on some trees is reduced to what must be the same for all: a hash of its bits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "base/sha256.h"
#include "packed_text.h"
#include "sanitized.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {

/// Returns the counts of spheres that must agree with one sphere: first by workers, then by
/// spheres.
inline std::vector<std::int64_t> one_answer_threads() {
  std::vector<std::int64_t> all;
  for (std::int64_t workers : {1, 2, 3, 5, 8, 11, 12, 13, 25}) {
    all.push_back(threads_for_workers(workers));
  }
  for (std::int64_t threads : {4, 8, 12, 14, 24, 48, 64}) all.push_back(threads);
  return all;
}

/// Says whether a step of a case is much more work than others: under sanitizers it takes a second.
inline bool is_heavy(const TrainingCase& c) { return c.batch * c.sequence * c.width > 100000; }

/// Returns all counts; for a heavy case one without controls, one with two and one with twelve; and
/// with sanitizers, which look at threads rather than bits, a few of each kind of tree.
inline std::vector<std::int64_t> one_answer_threads(const TrainingCase& c) {
  if (is_heavy(c)) return {3, 14, 64};
  return kSanitized ? std::vector<std::int64_t>{2, 3, 6, 14, 24, 64} : one_answer_threads();
}

/// Sleeps for a random time at every message and tile border, mostly as short as the system can.
/// This makes every worker take part: while some sleep, others find work.
class BorderDelays {
 public:
  void inject(TreeOptions& options) {
    options.before_message = [this](int sphere) { sleep(static_cast<std::uint32_t>(sphere)); };
    options.before_tile = [this](int worker, const TileClaim&) {
      sleep(static_cast<std::uint32_t>(worker) * 977u);
    };
  }

 private:
  void sleep(std::uint32_t salt) {
    const std::uint32_t x = (turn_.fetch_add(1, std::memory_order_relaxed) + salt) * 2654435761u;
    const std::uint32_t longest = (x >> 28) == 0 ? 255 : 15;
    std::this_thread::sleep_for(std::chrono::microseconds((x >> 16) & longest));
  }

  std::atomic<std::uint32_t> turn_{0};
};

inline std::string digest(const ModelState& state) {
  std::string all = weights_digest(state);
  for (const AlignedBuffer<float>& moment : state.optimizer_state) {
    all += hex(sha256({reinterpret_cast<const char*>(moment.data()), moment.bytes()}));
  }
  all += std::to_string(state.updates);
  return hex(sha256(all));
}

/// Holds a session that can be left and continued by another one, as a resumed run does.
class TrainingRun {
 public:
  TrainingRun(const TrainingCase& c, std::int64_t threads, bool delays) : case_(c) {
    SessionConfig config = session_config(c, threads);
    if (delays) delays_.inject(config.tree);
    session_ = std::make_unique<Session>(config);
    start_weights(state());
  }

  void take_up(const TrainingRun& from) {
    const ModelState& old = from.session_->state();
    for (std::size_t i = 0; i < old.ranges().size(); ++i) {
      const AlignedBuffer<float>& range = *old.ranges()[i];
      std::copy_n(range.data(), range.size(), state().ranges()[i]->data());
    }
    if (old.lattice) {
      std::copy_n(old.lattice->embedding().data(), old.lattice->embedding().size(),
                  state().lattice->embedding().data());
    }
    state().updates = old.updates;
    step_ = from.step_;
  }

  void train(int steps) {
    StepText text;
    for (int s = 0; s < steps; ++s, ++step_) {
      draw(case_, step_, text);
      const StepOutcome out = session_->step(step_, text.rows());
      EXPECT_FALSE(out.skipped);
      EXPECT_GT(out.loss, 0.0);
      first_loss_ = step_ == 0 ? out.loss : first_loss_;
      last_loss_ = out.loss;
    }
  }

  Session& session() { return *session_; }
  ModelState& state() { return session_->state(); }
  double first_loss() const { return first_loss_; }
  double last_loss() const { return last_loss_; }

  /// Expects that each worker ran a tile, and that each control handled a message and computed
  /// nothing. Continues training for a while if needed, because a busy machine starts some threads
  /// late.
  void expect_all_took_part() {
    const SphereTree& tree = session_->tree();
    const std::vector<int>& workers = tree.plan().workers;
    const auto has_worked = [&](int id) { return tree.counters(id).tiles.get() > 0; };
    for (int more = 0; more < 50; ++more) {
      if (std::all_of(workers.begin(), workers.end(), has_worked)) break;
      train(1);
    }
    for (const SpherePlan& s : tree.plan().spheres) {
      const SphereCounters& c = tree.counters(s.id);
      const std::string who = std::string(role_name(s.role)) + " " + std::to_string(s.id) + " of " +
                              std::to_string(tree.plan().spheres.size());
      if (s.children == 0) {
        EXPECT_GE(c.tiles.get(), 1u) << who;
      } else {
        EXPECT_GE(c.messages_in.get(), 1u) << who;
        EXPECT_EQ(c.tiles.get(), 0u) << who;
      }
    }
  }

 private:
  const TrainingCase case_;
  BorderDelays delays_;
  std::unique_ptr<Session> session_;
  int step_ = 0;
  double first_loss_ = 0, last_loss_ = 0;
};

/// Trains on one sphere without delays, then on every count with them, once straight through and
/// once with a change to another count half-way: the bits must be the same.
inline void expect_one_answer(const TrainingCase& c, int steps,
                              const std::vector<std::int64_t>& counts) {
  const Watchdog watchdog("training " + c.name, std::chrono::seconds(1500));
  TrainingRun alone(c, 1, false);
  alone.train(steps);
  const std::string expected = digest(alone.state());
  EXPECT_LT(alone.last_loss(), alone.first_loss()) << "it learns";

  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::string label = std::to_string(counts[i]) + " spheres";
    TrainingRun run(c, counts[i], true);
    run.train(steps);
    EXPECT_EQ(digest(run.state()), expected) << label;
    run.expect_all_took_part();

    const std::int64_t other = counts[(i * 7 + 1) % counts.size()];
    TrainingRun first(c, counts[i], true), second(c, other, true);
    first.train(steps / 2);
    second.take_up(first);
    second.train(steps - steps / 2);
    EXPECT_EQ(digest(second.state()), expected) << label << ", then " << other;
  }
}

}  // namespace cllm
