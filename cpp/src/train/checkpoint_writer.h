// A CheckpointWriter writes the checkpoints of a run while its steps go on: from a copy of the
// state, on its own thread.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/trainer_state.h"
#include "engine/session.h"

namespace cllm {

/// Returns the optimizer's `values` in the form that a checkpoint holds or fills, one for each
/// range.
template <class Float>
std::vector<OptimizerRange<Float>> optimizer_ranges(const std::vector<StateRange>& ranges,
                                                    const std::vector<Float*>& values) {
  std::vector<OptimizerRange<Float>> all;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    all.push_back({ranges[i].name, ranges[i].may_be_negative, values[i]});
  }
  return all;
}

/// Says what to write.
struct CheckpointJob {
  std::string checkpoints;           ///< the folder that holds the run's checkpoints
  TrainerState state;                ///< its step names the checkpoint
  ExtraFiles extra;                  ///< further files of the model folder
  std::int64_t keep = 0;             ///< checkpoints kept beside this one
  std::vector<std::string> protect;  ///< names of those that always stay
};

struct CheckpointResult {
  std::string folder;
  std::int64_t step = 0;
  std::string failure;                ///< why it could not be written; "" when it is complete
  std::vector<std::string> warnings;  ///< an old checkpoint that could not be removed, ...
};

/// Runs at most one write at a time. start() takes the copy before it returns, so the next step may
/// change the state at once. A write ends in a result that poll() or wait() returns once. A write
/// that fails leaves the earlier checkpoints as they were. Thread safety: one thread at a time; the
/// writing thread touches only the copy, the disk, and what never changes: the layout and the names
/// of the ranges.
class CheckpointWriter {
 public:
  /// Makes a writer; the state that it saves must stay where it is. If `snapshot` is false there is
  /// no copy and no thread, and start() returns when the checkpoint is written.
  CheckpointWriter(const Session& session, bool snapshot);
  /// Waits for the current write.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Starts a write. REQUIRES: !busy().
  void start(CheckpointJob job);
  /// Says whether a write has begun whose result was not taken yet.
  bool busy() const noexcept { return job_.has_value(); }
  /// Returns the result of a write that has ended, or nothing.
  std::optional<CheckpointResult> poll();
  /// Waits for the end of the write and returns its result; nothing if there is no write.
  std::optional<CheckpointResult> wait();

 private:
  /// Writes the checkpoint; `ranges` are the parameters, then those of the optimizer.
  void carry_out(const std::vector<const float*>& ranges) noexcept;
  CheckpointResult take();

  const ModelState& state_;
  const std::vector<StateRange>& names_;
  AlignedBuffer<float> copy_;  // of all ranges, one after another; empty without a snapshot
  std::optional<CheckpointJob> job_;
  CheckpointResult result_;
  std::thread thread_;
  std::atomic<bool> done_{false};  // set by the writing thread; orders result_ before its reader
  int owner_ = 0;                  // process that made the thread: a forked child has none
};

}  // namespace cllm
