// How each kernel of the table is called: one description of every kernel, which tests, benchmarks
// and the measurement of a machine run through. A kernel without one does not compile.
#pragma once

#include <cstdint>
#include <string>

#include "base/span.h"
#include "cpu/kernel_table.h"

namespace cllm {

/// What a kernel is called with. Products are m = rows, n = columns, k = depth; attention has
/// sequences of at most 256 rows and a head of `columns`; passes over rows take rows x columns,
/// flat ranges rows * columns elements; others leave `depth` alone.
struct KernelSizes {
  std::int64_t rows = 1, columns = 1, depth = 1;
  int variant = 0;  ///< of KernelCase::variants
};

enum class KernelShape { kFlat, kRows, kProduct, kAttention };

enum class OperandUse { kRead, kWrite, kUpdate, kScratch };

/// What an operand holds, so that a kernel may be called on it any number of times.
enum class OperandValues {
  kAny,      ///< -1 to 1
  kLarge,    ///< 4 to 6: positive
  kOnes,     ///< for what is multiplied in place
  kTargets,  ///< std::int32_t from 0 to columns - 1
};

struct KernelOperand {
  OperandUse use;
  bool bf16;     ///< else four bytes each
  bool product;  ///< lies in the cache where a step calls the kernel: it comes out of a product
  OperandValues values;
  std::int64_t (*elements)(const KernelTable& table, const KernelSizes& sizes);

  std::int64_t bytes(const KernelTable& table, const KernelSizes& sizes) const {
    return elements(table, sizes) * (bf16 ? 2 : 4);
  }
};

/// Where the operands are, in their order.
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
  bool bf16;           ///< of activations or products that are stored so
  KernelShape shape;
  KernelOperand operand[kMostOperands];  ///< those without `elements` are not there
  const char* variants[kMostVariants];   ///< none, or what `KernelSizes::variant` chooses from
  /// Of a whole call, a multiplication and an addition each; null: it is a pass over memory.
  double (*operations)(const KernelSizes& sizes);
  void (*call)(const KernelTable& table, const KernelSizes& sizes, OperandPointers operands);

  int operands() const;
  int variant_count() const;
  /// "bf16_pack_weight/nt"
  std::string name(int variant) const;
  /// What has to be read and written in a call; an operand that is updated counts for both.
  std::int64_t bytes_moved(const KernelTable& table, const KernelSizes& sizes) const;
};

/// Every kernel of the table.
Span<const KernelCase> kernel_cases();

/// The one of that name. REQUIRES: there is one.
const KernelCase& kernel_case(const std::string& kernel, bool bf16 = false);

/// Values for an operand, the same for the same seed.
void fill_operand(const KernelOperand& operand, const KernelTable& table, const KernelSizes& sizes,
                  std::uint32_t seed, void* data);

}  // namespace cllm
