// Routing decides which position of a step each sequence goes to: by the tokens it holds, or in
// turn.
//
// The batch plan says how many sequences a position takes; routing says which ones. It looks at
// tokens and configuration only, never at threads, and keeps every size of the plan. So every
// position gets its number of sequences, whatever the data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/span.h"
#include "plan/batch_plan.h"

namespace cllm {

enum class Routing {
  /// A sequence goes to the position of its group, in index order while there is room. One that
  /// finds it full takes the first free seat, lowest position first.
  kSymmetry,
  /// Sequence 0 goes to position 0, 1 to 1, and so on in turn, skipping positions that are full.
  kRoundRobin,
};

/// Parses a name. REQUIRES: "symmetry" or "round_robin", the choices of the option table.
Routing parse_routing(const std::string& name);

/// Deals token ids to V groups in turn.
inline std::int64_t symmetry_group(std::int32_t token, std::int64_t symmetry_order) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint32_t>(token) %
                                   static_cast<std::uint32_t>(symmetry_order));
}

/// Says what a step batch held of one group.
struct GroupCount {
  std::int64_t sequences = 0;  ///< in which it has most tokens; of equals the lowest counts
  std::int64_t tokens = 0;     ///< in sequences of any group
  std::int64_t moved = 0;      ///< sequences of the group at another position
};

/// Says what a step batch held of one band of rings (lattice/ring_bands.h).
struct RingCount {
  std::int64_t tokens = 0;
  std::int64_t moved = 0;  ///< in sequences that went to another position than their group's
};

/// Routes step batches of one plan. Allocates at construction only. Thread safety: one thread at a
/// time.
class Router {
 public:
  Router(const BatchPlan& plan, Routing routing, std::int64_t symmetry_order);

  /// Fills slots[B]: sequence i of inputs[B, T] becomes sequence slots[i] of the step batch. This
  /// is a permutation in which the sequences of one position keep their order. counts[V] is
  /// overwritten.
  void route(const std::int32_t* inputs, Span<std::int64_t> slots, Span<GroupCount> counts);

  /// Counts the tokens of the batch that was routed last, by band of rings; counts[bands] is
  /// overwritten. REQUIRES: the same inputs, whose rings are all in these bands.
  void count_rings(const std::int32_t* inputs, Span<RingCount> counts) const noexcept;

  /// Returns the position that the sequences of a group should go to.
  std::int64_t position_of(std::int64_t group) const noexcept {
    return group % static_cast<std::int64_t>(first_slot_.size());
  }
  std::int64_t symmetry_order() const noexcept {
    return static_cast<std::int64_t>(tokens_in_.size());
  }

 private:
  std::int64_t dominant_group(const std::int32_t* tokens, Span<GroupCount> counts) noexcept;
  void seat_by_group() noexcept;
  void seat_in_turn() noexcept;

  const Routing routing_;
  const std::int64_t sequence_;           // T
  std::vector<std::int64_t> first_slot_;  // by position
  std::vector<std::int64_t> sizes_;       // by position, sequences
  std::vector<std::int64_t> group_of_;    // by sequence
  std::vector<std::int64_t> seat_;        // by sequence: its position, -1 while it has none
  // These are scratch.
  std::vector<std::int64_t> room_;       // by position
  std::vector<std::int64_t> tokens_in_;  // by group
};

}  // namespace cllm
