// What each worker brings along, made on its own thread and CPU: its memory is near it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "cpu/affinity.h"
#include "model/shard_program.h"

namespace cllm {

/// Thread safety: prepare(w) on the thread of worker w; context(w) on that thread afterwards.
class WorkerPool {
 public:
  /// `cpus`: where each of the first workers is bound to; may be shorter.
  WorkerPool(int workers, GemmBackend backend, const KernelTable& kernels,
             std::size_t scratch_floats, std::vector<int> cpus = {})
      : backend_(backend),
        kernels_(&kernels),
        scratch_floats_(scratch_floats),
        cpus_(std::move(cpus)),
        slots_(static_cast<std::size_t>(workers)) {}

  void prepare(int worker) {
    const auto index = static_cast<std::size_t>(worker);
    if (index < cpus_.size()) allow_cpus({cpus_[index]});
    Slot& slot = slots_[index];
    slot.gemm = make_gemm(backend_, *kernels_);
    slot.scratch = AlignedBuffer<float>(scratch_floats_);
    slot.context = {kernels_, slot.gemm.get(), slot.scratch.data()};
  }

  /// Where the first workers are bound to when all of them compute; empty: nowhere.
  const std::vector<int>& cpus() const noexcept { return cpus_; }

  const WorkerContext& context(int worker) const noexcept {
    return slots_[static_cast<std::size_t>(worker)].context;
  }

 private:
  struct alignas(128) Slot {
    std::unique_ptr<Gemm> gemm;
    AlignedBuffer<float> scratch;
    WorkerContext context{};
  };

  GemmBackend backend_;
  const KernelTable* kernels_;
  std::size_t scratch_floats_;
  const std::vector<int> cpus_;
  std::vector<Slot> slots_;
};

}  // namespace cllm
