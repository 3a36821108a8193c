// The batch plan says how a step batch is cut: sequences into shards, shards onto positions,
// positions into a sum.
//
// It is a pure function of shapes and configuration. It never looks at workers or at the machine,
// so the result is the same for every number of workers.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.h"

namespace cllm {

/// Holds everything that the plan may look at.
struct BatchShape {
  std::int64_t batch = 1;            ///< B, sequences in the step batch
  std::int64_t sequence = 1;         ///< T, tokens in a sequence
  std::int64_t parameters = 1;       ///< P
  std::int64_t flops_per_token = 1;  ///< of one forward and backward
  int symmetry_order = 12;           ///< V, the largest number of positions
  std::int64_t positions = 0;        ///< K if given; 0: the rule chooses
};

/// A shard is whole sequences that go through forward and backward together.
struct ShardPlan {
  std::int64_t first_sequence;
  std::int64_t sequences;
};

/// A position is a logical place in the data: its shards run in index order and share one gradient
/// buffer.
struct PositionPlan {
  int first_shard;
  int shards;
};

/// A merge is one addition of the fixed tree over positions: its node is the sum of `inputs` in
/// this order. Nodes 0 to K-1 are the positions; nodes from K on are the merges in index order.
struct MergePlan {
  int inputs[3];
  int count;  ///< 2 or 3
};

struct BatchPlan {
  std::int64_t batch = 0;
  std::int64_t sequence = 0;
  std::vector<ShardPlan> shards;        ///< S of them
  std::vector<PositionPlan> positions;  ///< K of them
  std::vector<MergePlan> merges;        ///< the last one is the sum of all; empty when K = 1

  /// Counts the sequences in the largest shard.
  std::int64_t largest_shard() const noexcept;
};

/// A shard has at most 512 rows (tokens), or 1024 if K = 1, but at least one sequence. K is the
/// largest number of positions, at most min(V, S), that are equally long (ceil(S/K) K - S <= S/8)
/// and whose gradient copies are cheap: K * 4P bytes fit in 16 MiB, or are at most 256 KiB a token
/// with a traffic (12 K P bytes) of at most 3 % of the step's arithmetic, counted at 0.1 byte per
/// FLOP. Where every position has one shard, shards are halved and S and K doubled, as long as
/// halves have 128 rows and the same conditions hold: workers who each have a position of their own
/// do not read what others have just written. Throws InputError when `positions` is given and
/// larger than V or than the batch.
BatchPlan plan_batch(const BatchShape& shape);

/// Plans the tree over `positions` nodes. Neighbours are added in pairs, level by level; if their
/// number is odd, the last three are added together, so 12 = 2 x 2 x 3.
std::vector<MergePlan> plan_merges(int positions);

}  // namespace cllm
