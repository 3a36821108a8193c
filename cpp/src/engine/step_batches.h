// Step batches in the order in which they are trained: drawn, routed to positions, and laid out one
// step ahead, while the workers are at the step before.
#pragma once

#include <array>
#include <exception>
#include <functional>
#include <vector>

#include "cllm/train_observer.h"
#include "lattice/routing.h"

namespace cllm {

/// Inputs and targets of one step as the batch plan wants them.
struct StepBatch {
  std::vector<std::int32_t> inputs, targets;  // [B, T]
  std::vector<std::int64_t> sequences;        // [B] the number of each when it was drawn
  std::vector<GroupCount> groups;             // [V]
  std::int64_t step = -1;
};

/// Draws the sequences of a step into inputs[B, T] and targets[B, T].
using DrawBatch =
    std::function<void(std::int64_t step, std::int32_t* inputs, std::int32_t* targets)>;

/// Allocates at construction only. Thread safety: the root's thread only.
class StepBatches {
 public:
  StepBatches(const BatchPlan& plan, Routing routing, std::int64_t symmetry_order, DrawBatch draw);

  /// Lays out the batch of a step, if that has not been done. Two can be there at a time: of one
  /// step and of the next. Throws nothing: it runs while the step before is computed, which must
  /// not be lost with it. What kept the batch from being drawn is thrown by take().
  void prepare(std::int64_t step) noexcept;
  /// The batch of a step, in which it counts. `late` is set when it was not there yet. Throws what
  /// drawing it threw; it can be called again.
  const StepBatch& take(std::int64_t step, bool& late);
  /// Takes back that a batch counts: its step was given up.
  void give_back(const StepBatch& batch) noexcept { count(batch, -1); }
  /// The same as take() for sequences of the caller's. Stays until the next call.
  const StepBatch& route(const std::int32_t* inputs, const std::int32_t* targets);

  /// What the batches that were taken held, by group.
  std::vector<GroupReport> groups() const;

 private:
  void draw(std::int64_t step);
  void lay_out(const std::int32_t* inputs, const std::int32_t* targets, StepBatch& to);
  void count(const StepBatch& batch, std::int64_t times = 1) noexcept;

  const std::size_t length_;  // T
  const DrawBatch draw_;
  Router router_;
  StepBatch drawn_;  // as they came
  std::array<StepBatch, 2> laid_out_;
  std::vector<std::int64_t> slots_;
  std::vector<GroupCount> totals_;
  std::exception_ptr failed_;  // of prepare(), for take()
};

}  // namespace cllm
