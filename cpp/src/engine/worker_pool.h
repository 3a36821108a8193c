// A WorkerPool makes each worker's products and scratch on the worker's own thread and CPU, so that
// their memory is near it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "cpu/affinity.h"
#include "gemm/timed.h"
#include "model/shard_program.h"

namespace cllm {

/// Holds what each worker computes with. Thread safety: prepare(w) on the thread of worker w;
/// context(w) on that thread afterwards.
class WorkerPool {
 public:
  /// Makes empty slots. `workers` is their number in the tree; the root, which may compute too, has
  /// a slot after theirs. `cpus` says where each of the first workers is pinned to; it may be
  /// shorter. `time_products` is for take_product_ns().
  WorkerPool(int workers, GemmBackend backend, const KernelTable& kernels,
             std::size_t scratch_floats, std::vector<int> cpus = {}, bool time_products = false)
      : backend_(backend),
        kernels_(&kernels),
        scratch_floats_(scratch_floats),
        cpus_(std::move(cpus)),
        time_products_(time_products),
        slots_(static_cast<std::size_t>(workers) + 1) {}

  void prepare(int worker) {
    const auto index = static_cast<std::size_t>(worker);
    if (index < cpus_.size()) allow_cpus({cpus_[index]});
    Slot& slot = slots_[index];
    slot.gemm = make_gemm(backend_, *kernels_);
    if (time_products_) {
      auto timed = std::make_unique<TimedGemm>(std::move(slot.gemm));
      slot.timed = timed.get();
      slot.gemm = std::move(timed);
    }
    slot.scratch = AlignedBuffer<float>(scratch_floats_);
    slot.context = {kernels_, slot.gemm.get(), slot.scratch.data()};
  }

  /// Returns where the first workers are pinned to when all of them compute; empty: nowhere.
  const std::vector<int>& cpus() const noexcept { return cpus_; }

  const WorkerContext& context(int worker) const noexcept {
    return slots_[static_cast<std::size_t>(worker)].context;
  }

  /// Returns the nanoseconds inside products since the last call. REQUIRES: time_products; called
  /// on the worker's thread.
  std::uint64_t take_product_ns(int worker) const noexcept {
    return slots_[static_cast<std::size_t>(worker)].timed->take_ns();
  }

 private:
  struct alignas(128) Slot {
    std::unique_ptr<Gemm> gemm;
    TimedGemm* timed = nullptr;  // the same object, if products are timed
    AlignedBuffer<float> scratch;
    WorkerContext context{};
  };

  GemmBackend backend_;
  const KernelTable* kernels_;
  std::size_t scratch_floats_;
  const std::vector<int> cpus_;
  const bool time_products_;
  std::vector<Slot> slots_;
};

}  // namespace cllm
