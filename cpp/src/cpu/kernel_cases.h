// One description of every kernel says how it is called. Tests, benchmarks and the measurement of a
// machine go through all of them. The build fails if a kernel has no description.
#pragma once

#include <cstdint>
#include <string>

#include "base/span.h"
#include "cpu/kernel_table.h"

namespace cllm {

/// Holds the sizes that a kernel is called with. Products have m = rows, n = columns, k = depth.
/// Attention has sequences of `depth` rows, the last of which may be shorter, and a head of
/// `columns`. Passes over rows take rows x columns, flat ranges rows * columns elements; both
/// ignore `depth`.
struct KernelSizes {
  std::int64_t rows = 1, columns = 1, depth = 1;
  int variant = 0;         ///< an index into KernelCase::variants
  std::int64_t heads = 1;  ///< side by side in a row of attention, which takes the first of them
};

enum class KernelShape { kFlat, kRows, kProduct, kAttention };

enum class OperandUse { kRead, kWrite, kUpdate, kScratch };

/// Says where the calls of a step find an operand, one after another. A measurement imitates it.
enum class OperandPlace {
  kElsewhere,  ///< at a new place for every call
  kStays,      ///< at one place, in the cache: vectors, scratch, what a product left
  kUnder,      ///< at the first operand's place, which is written row by row over it
};

/// Says what an operand holds, so that a kernel may be called on it any number of times.
enum class OperandValues {
  kAny,      ///< -1 to 1
  kLarge,    ///< 4 to 6: positive
  kOnes,     ///< for operands that are multiplied in place
  kTurns,    ///< cosine and sine of 45 degrees, for pairs that are turned in place
  kTargets,  ///< std::int32_t from 0 to columns - 1
};

struct KernelOperand {
  OperandUse use;
  bool bf16;  ///< else four bytes per element
  OperandPlace place;
  OperandValues values;
  std::int64_t (*elements)(const KernelTable& table, const KernelSizes& sizes);

  std::int64_t bytes(const KernelTable& table, const KernelSizes& sizes) const {
    return elements(table, sizes) * (bf16 ? 2 : 4);
  }
};

/// Says where the operands are, in their order.
struct OperandPointers {
  void* const* at;
  template <class T>
  T* of(int operand) const {
    return static_cast<T*>(at[operand]);
  }
};

struct KernelCase {
  static constexpr int kMostOperands = 12, kMostVariants = 3;

  const char* kernel;  ///< its name in the table
  bool bf16;           ///< of activations or products that are stored as bf16
  KernelShape shape;
  KernelOperand operand[kMostOperands];  ///< those without `elements` do not exist
  const char* variants[kMostVariants];   ///< none, or what `KernelSizes::variant` chooses from
  /// Counts a multiplication and an addition each, for a whole call; null: it is a pass over
  /// memory.
  double (*operations)(const KernelSizes& sizes);
  void (*call)(const KernelTable& table, const KernelSizes& sizes, OperandPointers operands);

  int operands() const;
  int variant_count() const;
  /// Returns a name such as "bf16_pack_weight/nt".
  std::string name(int variant) const;
  /// Returns the bytes that a call must read and write; an operand that is updated counts for both.
  std::int64_t bytes_moved(const KernelTable& table, const KernelSizes& sizes) const;
};

/// Returns every kernel of the table.
Span<const KernelCase> kernel_cases();

/// Returns the case of that name. REQUIRES: there is one.
const KernelCase& kernel_case(const std::string& kernel, bool bf16 = false);

/// Returns what the case of a product calls it with, for callers of another backend.
template <class A, class B>
GemmArgsOf<A, B> product_args(const KernelSizes& s, OperandPointers operands) {
  constexpr GemmForm kForms[] = {GemmForm::kNN, GemmForm::kNT, GemmForm::kTN};
  const GemmForm form = kForms[s.variant];
  return {form,
          s.rows,
          s.columns,
          s.depth,
          {operands.of<const A>(0), form == GemmForm::kTN ? s.rows : s.depth},
          {operands.of<const B>(1), form == GemmForm::kNT ? s.depth : s.columns},
          {operands.of<float>(2), s.columns},
          false};
}

/// Fills an operand with values, the same for the same seed.
void fill_operand(const KernelOperand& operand, const KernelTable& table, const KernelSizes& sizes,
                  std::uint32_t seed, void* data);

}  // namespace cllm
