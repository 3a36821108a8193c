// What the tiles of a shard program call of the kernel table, listed beside the operations that
// make the calls (ops_*.h). Costs, benchmarks and reports ask this list, so an operation is
// described once more here and nowhere else.
#pragma once

#include <cstdint>

#include "cpu/product_kernels.h"
#include "model/shard_program.h"

namespace cllm {

/// Hears of the calls of one tile.
class CallListener {
 public:
  virtual ~CallListener() = default;
  /// C[m, n] of a sum over k. `by_weight`: one operand is a weight, which may be packed.
  virtual void product(GemmForm form, bool by_weight, std::int64_t m, std::int64_t n,
                       std::int64_t k) = 0;
  /// A kernel on [m, n] that exists for each way of storing operands (`stored`) or for floats only.
  virtual void pass(const char* kernel, bool stored, std::int64_t m, std::int64_t n) = 0;
  /// `times` additions of rows of n floats.
  virtual void add(std::int64_t n, std::int64_t times) = 0;
  /// `heads` heads' worth of attention on T rows; a part of a head is counted by its pairs.
  virtual void attention(const char* kernel, double heads) = 0;
};

/// Lists the calls of tile 0 <= tile < phase.tiles in training, where the model's rates drop.
void list_calls(const ShardCuts& cuts, const Phase& phase, std::int32_t tile,
                CallListener& listener);

/// What the time of a phase is reported as.
enum class Part : std::uint8_t {
  kQkv,
  kProjection,
  kHidden,
  kOutput,
  kHead,
  kInputGradients,
  kWeightGradients,
  kAdapters,  ///< phases of their own; what tiles of linear maps add counts there
  kAttention,
  kNormAndActivation,
  kEmbedding,
  kLoss,
};
constexpr std::size_t kParts = 12;

/// "product qkv", "attention".
const char* part_name(Part part);

/// What a phase's products belong to, and what the rest of it does.
struct PhaseParts {
  Part product, pass;
};
PhaseParts parts_of(const Phase& phase);

}  // namespace cllm
