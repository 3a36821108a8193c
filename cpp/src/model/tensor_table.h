// A TensorTable lists the tensors of a model in the order of its files, and says where each lies in
// the flat range that parameters, gradient and moments share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// Says how a tensor of new weights is filled.
enum class Initialization : std::uint8_t {
  kNormal,    ///< normal numbers of the deviation that the model's config says
  kResidual,  ///< the same over sqrt(2 L): what adds to the residual stream (GPT-2, 2019)
  kUniform,   ///< uniform within 1 / sqrt(columns): A of an adapter
  kOnes,
  kZeros,
};

struct TensorEntry {
  std::string name;  ///< as the model's files name it ("transformer.h.0.attn...")
  std::vector<std::int64_t> shape;
  std::int64_t offset;  ///< first element in the flat range
  std::int64_t size;    ///< product of shape
  Initialization initialization;
  bool decays;  ///< weight decay applies: tensors of two dimensions
  bool frozen;  ///< never updated: biases of a --no-bias model
  /// These are coefficients of the lattice: they act through the token embedding, and model folders
  /// do not hold them.
  bool coupling = false;

  bool is_matrix() const noexcept { return shape.size() == 2; }
};

/// Describes at most kBlockSize consecutive elements of one tensor: the unit of reduction and
/// update.
struct Block {
  std::int32_t tensor;
  std::int64_t offset;
  std::int64_t size;
};
constexpr std::int64_t kBlockSize = 65536;

/// Is a tensor that lies below others, without a gap, so that they make one matrix or one vector.
struct TensorPart {
  std::string name;
  std::vector<std::int64_t> shape;
};

class TensorTable {
 public:
  /// Appends a tensor and returns its offset, a multiple of 16.
  std::int64_t add(std::string name, std::vector<std::int64_t> shape, Initialization initialization,
                   bool frozen = false);
  /// Appends the parts of one matrix or vector, and returns the offset of the first, a multiple of
  /// 16.
  std::int64_t add(std::vector<TensorPart> parts, Initialization initialization);
  /// Appends `size` coefficients of the lattice, which start at 0.
  std::int64_t add_coupling(std::string name, std::int64_t size);

  const std::vector<TensorEntry>& tensors() const noexcept { return tensors_; }
  const std::vector<Block>& blocks() const noexcept { return blocks_; }
  /// Returns the length of the flat range, with the padding between tensors (always zero).
  std::int64_t flat_size() const noexcept { return flat_size_; }
  /// Returns the number of the model's parameters, without padding and the lattice's coefficients.
  std::int64_t parameters() const noexcept { return parameters_; }

 private:
  /// Appends a tensor at the end of the flat range, wherever that is.
  void append(TensorPart part, Initialization initialization, bool frozen);

  std::vector<TensorEntry> tensors_;
  std::vector<Block> blocks_;
  std::int64_t flat_size_ = 0, parameters_ = 0;
};

}  // namespace cllm
