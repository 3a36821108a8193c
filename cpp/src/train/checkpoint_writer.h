// Writes checkpoints of a run beside its steps: from a copy of the state, on a thread of its own.
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

/// The optimizer's ranges as a checkpoint holds them.
template <class Pointer>
std::vector<OptimizerRange<const float>> saved_ranges(const std::vector<StateRange>& ranges,
                                                      const std::vector<Pointer>& values) {
  std::vector<OptimizerRange<const float>> all;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    all.push_back({ranges[i].name, ranges[i].may_be_negative, values[i]});
  }
  return all;
}

/// What is to be written.
struct CheckpointJob {
  std::string checkpoints;           ///< the folder that holds the run's checkpoints
  TrainerState state;                ///< its step names the checkpoint
  ExtraFiles extra;                  ///< further files of the model folder
  std::int64_t keep = 0;             ///< checkpoints kept beside this one
  std::vector<std::string> protect;  ///< names of those that stay in any case
};

struct CheckpointResult {
  std::string folder;
  std::int64_t step = 0;
  std::string failure;                ///< why it could not be written; "" when it is complete
  std::vector<std::string> warnings;  ///< an old checkpoint that could not be removed, ...
};

/// At most one write is under way. The copy is taken by start() before it returns, so the next step
/// may change the state at once. A write ends in a result that poll() or wait() hands out once; a
/// failed one leaves the checkpoints before it as they were.
/// Thread safety: one thread at a time; the writing thread touches only the
/// copy, the disk, and what never changes: the layout and the names of the ranges.
class CheckpointWriter {
 public:
  /// The state that is saved stays where it is. With `snapshot` false there is no copy, no thread,
  /// and start() returns when the checkpoint is written.
  CheckpointWriter(const Session& session, bool snapshot);
  /// Waits for the write that is under way.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// REQUIRES: !busy().
  void start(CheckpointJob job);
  /// A write has begun whose result nobody has taken.
  bool busy() const noexcept { return job_.has_value(); }
  /// The result of a write that has come to its end.
  std::optional<CheckpointResult> poll();
  /// The same, after waiting for the end.
  std::optional<CheckpointResult> wait();

 private:
  /// `ranges`: the parameters, then those of the optimizer.
  void carry_out(const std::vector<const float*>& ranges) noexcept;
  CheckpointResult take();

  const ModelState& state_;
  const std::vector<StateRange>& names_;
  AlignedBuffer<float> copy_;  // of all ranges, one behind the other; empty without a snapshot
  std::optional<CheckpointJob> job_;
  CheckpointResult result_;
  std::thread thread_;
  std::atomic<bool> done_{false};  // set by the writing thread; orders result_ before its reader
  int owner_ = 0;                  // process that made the thread: a forked child has none
};

}  // namespace cllm
