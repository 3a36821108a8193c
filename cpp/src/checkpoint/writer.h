// A CheckpointWriter writes the checkpoints of a run while its steps go on: from a copy of the
// weights and the optimizer's state, on its own thread.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/aligned_buffer.h"
#include "checkpoint/checkpoint_folder.h"

namespace cllm {

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
  std::string note = {};              ///< of write_checkpoint: another type of weights
};

/// Runs at most one write at a time. start() takes the copy before it returns, so the next step may
/// change the state at once. A write ends in a result that poll() or wait() returns once. A write
/// that fails leaves the earlier checkpoints as they were. Thread safety: one thread at a time; the
/// writing thread touches only the copy, the disk, and what never changes: the layout and the names
/// of the optimizer's ranges.
class CheckpointWriter {
 public:
  /// Makes a writer of what is `trained`, the optimizer's ranges and the `embedding` of a coupled
  /// model (write_checkpoint), which must stay where they are, like the layout. If `snapshot` is
  /// false there is no copy and no thread, and start() returns when the checkpoint is written.
  CheckpointWriter(const ParameterLayout& layout, const float* trained,
                   std::vector<OptimizerRange<const float>> optimizer, bool snapshot,
                   const float* embedding = nullptr);
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
  using OptimizerRanges = std::vector<OptimizerRange<const float>>;
  void carry_out(const float* trained, const OptimizerRanges& optimizer,
                 const float* embedding) noexcept;
  /// Returns the numbers of the embedding.
  std::int64_t embedded() const noexcept {
    return layout_.coupled() ? layout_.tensors()[layout_.token_tensor()].size : 0;
  }
  CheckpointResult take();

  const ParameterLayout& layout_;
  const float* const trained_;
  const OptimizerRanges optimizer_;
  const float* const embedding_;
  AlignedBuffer<float> copy_;  // what is trained, each range, embedding; empty without a snapshot
  std::optional<CheckpointJob> job_;
  CheckpointResult result_;
  std::thread thread_;
  std::atomic<bool> done_{false};  // set by the writing thread; orders result_ before its reader
  int owner_ = 0;                  // process that made the thread: a forked child has none
};

}  // namespace cllm
