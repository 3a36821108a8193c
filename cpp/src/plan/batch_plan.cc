#include "plan/batch_plan.h"

#include <algorithm>
#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

// Shards are as long as the sums over a weight's rows need and no longer: twice as long cost case B
// 2 % more time, and B, D and E a fifth more memory (benchmarks/experiments.md). One position alone
// must feed all workers, shard by shard: with 512 rows 23 workers would be busy for 83 % of the
// time, with 1024 for 91 %.
constexpr std::int64_t kShardRows = 512, kLoneShardRows = 1024;
// Halving shards pays down to this size: of 256 rows, 2 positions are 4 to 23 % faster than 1 on
// two workers and 1 % slower on one; 4 are slower than 2 (benchmarks/experiments.md).
constexpr std::int64_t kHalvedRows = 128;
constexpr std::int64_t kCheapBytes = std::int64_t{16} << 20;
// This limit decides cases D and E. In D (237 KiB a token for each copy) one position instead of
// two costs 0.4 % of the time and saves 570 MiB. In E (22 KiB) one instead of four costs 2.4 %
// (benchmarks/experiments.md).
constexpr std::int64_t kBytesPerToken = 256 << 10;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

bool cheap(const BatchShape& shape, std::int64_t k) {
  const std::int64_t bytes = k * 4 * shape.parameters, tokens = shape.batch * shape.sequence;
  if (k == 1 || bytes <= kCheapBytes) return true;
  if (bytes > kBytesPerToken * tokens) return false;
  const double traffic = 12.0 * static_cast<double>(k) * static_cast<double>(shape.parameters);
  return traffic <=
         0.03 * 0.1 * static_cast<double>(tokens) * static_cast<double>(shape.flops_per_token);
}

/// Says whether `total` things can be dealt to `parts` parts of about the same length.
bool equal(std::int64_t total, std::int64_t parts) {
  return (ceil_div(total, parts) * parts - total) * 8 <= total;
}

std::int64_t choose_positions(const BatchShape& shape, std::int64_t shards) {
  std::int64_t k = std::min<std::int64_t>(shape.symmetry_order, shards);
  while (k > 1 && !(equal(shards, k) && cheap(shape, k))) --k;
  const auto may_be = [&shape](std::int64_t more) {
    return more <= shape.symmetry_order && shape.batch / more * shape.sequence >= kHalvedRows &&
           equal(shape.batch, more) && cheap(shape, more);
  };
  if (k == shards) {
    while (may_be(2 * k)) k *= 2;
  }
  return k;
}

/// Counts the things in part `part` when `total` are dealt in order; the first parts take one more.
std::int64_t dealt(std::int64_t total, std::int64_t parts, std::int64_t part) {
  return total / parts + (part < total % parts ? 1 : 0);
}

}  // namespace

std::int64_t BatchPlan::largest_shard() const noexcept {
  std::int64_t most = 0;
  for (const ShardPlan& s : shards) most = std::max(most, s.sequences);
  return most;
}

BatchPlan plan_batch(const BatchShape& shape) {
  const std::int64_t most = std::min<std::int64_t>(shape.symmetry_order, shape.batch);
  if (shape.positions < 0 || shape.positions > most) {
    throw InputError({"too many positions", std::to_string(shape.positions),
                      "1 to " + std::to_string(most) + ", the smaller of symmetry and step batch",
                      "positions", "leave it out to let the plan choose"});
  }
  const auto shards_of = [&shape](std::int64_t rows) {
    return ceil_div(shape.batch, std::max<std::int64_t>(1, rows / shape.sequence));
  };
  const std::int64_t positions =
      shape.positions > 0 ? shape.positions : choose_positions(shape, shards_of(kShardRows));
  const std::int64_t shards =
      positions == 1 ? shards_of(kLoneShardRows) : std::max(shards_of(kShardRows), positions);

  BatchPlan plan;
  plan.batch = shape.batch;
  plan.sequence = shape.sequence;
  std::int64_t sequence = 0;
  for (std::int64_t s = 0; s < shards; ++s) {
    const std::int64_t count = dealt(shape.batch, shards, s);
    plan.shards.push_back({sequence, count});
    sequence += count;
  }
  int shard = 0;
  for (std::int64_t p = 0; p < positions; ++p) {
    const int count = static_cast<int>(dealt(shards, positions, p));
    plan.positions.push_back({shard, count});
    shard += count;
  }
  plan.merges = plan_merges(static_cast<int>(positions));
  return plan;
}

std::vector<MergePlan> plan_merges(int positions) {
  std::vector<MergePlan> merges;
  std::vector<int> level;
  for (int p = 0; p < positions; ++p) level.push_back(p);
  while (level.size() > 1) {
    std::vector<int> next;
    for (std::size_t i = 0; i < level.size();) {
      const bool three = level.size() - i == 3;
      MergePlan merge = {{level[i], level[i + 1], three ? level[i + 2] : -1}, three ? 3 : 2};
      i += static_cast<std::size_t>(merge.count);
      next.push_back(positions + static_cast<int>(merges.size()));
      merges.push_back(merge);
    }
    level = std::move(next);
  }
  return merges;
}

}  // namespace cllm
