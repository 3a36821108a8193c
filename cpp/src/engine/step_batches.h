// StepBatches gives step batches in the order in which they are trained. It draws them, routes them
// to positions and lays them out one step ahead, while the workers compute the step before.
#pragma once

#include <array>
#include <exception>
#include <functional>
#include <vector>

#include "base/token_rows.h"
#include "cllm/train_observer.h"
#include "lattice/routing.h"

namespace cllm {

/// Holds inputs and targets of one step in the order of the batch plan.
struct StepBatch {
  std::vector<std::int32_t> inputs, targets;  // [B, T]
  std::vector<std::int32_t> first_keys;       // [B, T]; empty: each sequence is one document
  std::vector<std::int64_t> sequences;        // [B] the number of each when it was drawn
  std::vector<GroupCount> groups;             // [V]
  std::vector<RingCount> rings;               // [bands of rings], empty when they are not counted
  std::int64_t step = -1;

  TokenRows rows() const noexcept {
    return {inputs.data(), targets.data(), first_keys.empty() ? nullptr : first_keys.data()};
  }
};

/// Draws the sequences of a step into rows[B, T].
using DrawBatch = std::function<void(std::int64_t step, const RowsToFill& to)>;

/// Draws and lays out batches. It allocates at construction, and once more when it is first handed
/// documents that it was not made for. Thread safety: the root's thread only.
class StepBatches {
 public:
  /// Makes batches of one plan; `vocabulary` is that of the lattice whose rings are counted, 0 for
  /// none. With `documents`, `draw` also says where documents begin.
  StepBatches(const BatchPlan& plan, Routing routing, std::int64_t symmetry_order, DrawBatch draw,
              std::int64_t vocabulary = 0, bool documents = false);

  /// Lays out the batch of a step, unless that is done. It keeps two at a time: for one step and
  /// for the next. It throws nothing, because it runs while the step before is computed, which must
  /// not be lost. If drawing fails, take() throws the exception.
  void prepare(std::int64_t step) noexcept;
  /// Returns the batch of a step and counts it. Sets `late` when it was not ready yet. Throws what
  /// drawing it threw; it can be called again.
  const StepBatch& take(std::int64_t step, bool& late);
  /// Takes the count of a batch back, because its step was given up.
  void give_back(const StepBatch& batch) noexcept { count(batch, -1); }
  /// Does the same as take() for sequences that the caller gives. The result stays until the next
  /// call.
  const StepBatch& route(const TokenRows& rows);

  /// Returns what the counted batches held, by group.
  std::vector<GroupReport> groups() const;
  /// Returns the same by band of rings, for those that had tokens.
  std::vector<RingReport> rings() const;

 private:
  void draw(std::int64_t step);
  void lay_out(const TokenRows& rows, StepBatch& to);
  void count(const StepBatch& batch, std::int64_t times = 1) noexcept;

  const std::size_t length_;  // T
  const std::int64_t rings_;  // of the lattice, 0 when they are not counted
  const bool documents_;      // in the sequences that are drawn
  const DrawBatch draw_;
  Router router_;
  StepBatch drawn_;  // in the order in which they were drawn
  std::array<StepBatch, 2> laid_out_;
  std::vector<std::int64_t> slots_;
  std::vector<GroupCount> totals_;
  std::vector<RingCount> ring_totals_;
  std::exception_ptr failed_;  // in prepare(), for take()
};

}  // namespace cllm
