// A ModelState holds the flat ranges of a model: its weights, what training changes, and what the
// optimizer keeps beside that.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bf16.h"
#include "cpu/kernel_table.h"
#include "engine/job_table.h"
#include "engine/lattice_state.h"
#include "model/layout.h"
#include "model/packed_weights.h"
#include "model/pass.h"
#include "model/precision.h"

namespace cllm {

struct ModelState {
  /// Makes a state of zeros. `ranges` is the number of the optimizer's ranges; 0 for a model that
  /// only runs. With `coupled`, its tokens are coupled in the lattice; with `lora`, it has
  /// adapters. With `base` Bf16, it keeps its frozen matrices so: see keep().
  explicit ModelState(const ModelConfig& model, std::size_t ranges = 0,
                      Precision products = Precision::kFp32, bool coupled = false,
                      const std::optional<LoraConfig>& lora = std::nullopt,
                      Precision base = Precision::kFp32)
      : config(model),
        precision(products),
        layout(model, coupled, lora),
        parameters(static_cast<std::size_t>(layout.flat_size())) {
    if (base == Precision::kBf16) {
      matrices = AlignedBuffer<Bf16>(parameters.size());
      take_small_pages(parameters.data(), parameters.bytes());
    }
    if (coupled) lattice = std::make_unique<LatticeState>(model, layout);
    const auto trained = static_cast<std::size_t>(layout.trainables().flat_size());
    if (layout.adapted()) adapters = AlignedBuffer<float>(trained);
    for (std::size_t i = 0; i < ranges; ++i) optimizer_state.emplace_back(trained);
    for (AlignedBuffer<float>& range : optimizer_state) state_pointers.push_back(range.data());
  }

  WeightLayout weights() const noexcept {
    return packed ? WeightLayout::kPacked : WeightLayout::kPlain;
  }

  ExtraTiles extra_tiles() const noexcept {
    return {packed ? packed->tiles() : 0, lattice ? lattice->tiles() : 0};
  }

  /// Moves a weight that was just written to where passes read it, and gives the memory that it was
  /// written to back: what is trained beside adapters lies among them, and frozen matrices may be
  /// kept as Bf16. Other weights stay where they are.
  void keep(const TensorEntry& weight) noexcept {
    const auto size = static_cast<std::size_t>(weight.size);
    float* const floats = parameters.data() + weight.offset;
    const std::int64_t at = layout.among_adapters(weight.offset);
    if (at != kAbsent) {
      std::copy_n(floats, size, adapters.data() + at);
    } else if (matrices.size() > 0 && weight.is_matrix()) {
      kernels().round_bf16(size, floats, matrices.data() + weight.offset);
    } else {
      return;
    }
    give_pages_back(floats, size * sizeof(float));
  }
  /// Does the same to all weights.
  void keep_all() noexcept {
    for (const TensorEntry& weight : layout.weights().tensors()) keep(weight);
  }

  /// Packs a tile of the weights, unless it is frozen and packed already.
  void pack(std::int32_t tile, Pass pass, const KernelTable& table) noexcept {
    const std::int64_t offset = packed->weight_of(tile);
    if (is_packed && !layout.trains(offset)) return;
    packed->pack(tile, pass, layout.weight(offset, parameters.data(), adapters.data()), table);
  }

  /// Couples the model whose weights were just written, if its tokens are coupled.
  void start_lattice() noexcept {
    if (lattice) lattice->start(parameters.data());
  }
  /// Returns E of a coupled model, else null.
  float* embedding() noexcept { return lattice ? lattice->embedding().data() : nullptr; }
  const float* embedding() const noexcept {
    return lattice ? lattice->embedding().data() : nullptr;
  }
  /// These return the ranges in which training finds a trainable at its offset: the values and the
  /// flat range `of` a gradient, but for a coupled embedding what lies behind these.
  float* trained(std::int32_t tensor) noexcept {
    const bool behind = lattice && lattice->holds(tensor);
    return behind ? lattice->embedding().data() - lattice->offset() : trainables().data();
  }
  const float* trained_gradient(std::int32_t tensor, const float* of) const noexcept {
    const bool behind = lattice && lattice->holds(tensor);
    return behind ? lattice->gradient().data() - lattice->offset() : of;
  }

  /// Holds the values of what is trained.
  AlignedBuffer<float>& trainables() noexcept { return layout.adapted() ? adapters : parameters; }
  const AlignedBuffer<float>& trainables() const noexcept {
    return layout.adapted() ? adapters : parameters;
  }

  /// Returns every flat range that training changes, the values first.
  std::vector<AlignedBuffer<float>*> ranges() {
    std::vector<AlignedBuffer<float>*> all = {&trainables()};
    for (AlignedBuffer<float>& range : optimizer_state) all.push_back(&range);
    return all;
  }
  std::vector<const AlignedBuffer<float>*> ranges() const {
    std::vector<const AlignedBuffer<float>*> all = {&trainables()};
    for (const AlignedBuffer<float>& range : optimizer_state) all.push_back(&range);
    return all;
  }

  const ModelConfig config;
  const Precision precision;            ///< of the products of its passes
  HeadRows head_rows = HeadRows::kAll;  ///< set before stages are made
  const ParameterLayout layout;
  AlignedBuffer<float> parameters;  ///< [layout.flat_size()]; a coupled embedding as last folded
  /// [layout.flat_size()] if frozen matrices are kept as Bf16: `parameters` then holds the vectors,
  /// and has no memory for the rest. It has none either for what is trained beside adapters.
  AlignedBuffer<Bf16> matrices;
  AlignedBuffer<float> adapters;  ///< [size of the trainables] if the layout has adapters
  std::vector<AlignedBuffer<float>> optimizer_state;  ///< [size of the trainables] for each range
  std::vector<float*> state_pointers;                 ///< to them, for Optimizer::run
  std::int64_t updates = 0;                           ///< applied so far
  std::unique_ptr<LatticeState> lattice;              ///< null: tokens are not coupled
  std::unique_ptr<PackedWeights> packed;  ///< each stage fills it first; null: tiles pack their own
  /// A training step has packed weights that are frozen, so that no stage needs to pack them again:
  /// nobody may change them from then on. The root sets it between the jobs that read it.
  bool is_packed = false;
};

}  // namespace cllm
