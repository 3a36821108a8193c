// What each worker brings along, made on its own thread.
#pragma once

#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "model/shard_program.h"

namespace cllm {

/// Thread safety: prepare(w) on the thread of worker w; context(w) on that thread afterwards.
class WorkerPool {
 public:
  WorkerPool(int workers, GemmBackend backend, const KernelTable& kernels,
             std::size_t scratch_floats)
      : backend_(backend),
        kernels_(&kernels),
        scratch_floats_(scratch_floats),
        slots_(static_cast<std::size_t>(workers)) {}

  void prepare(int worker) {
    Slot& slot = slots_[static_cast<std::size_t>(worker)];
    slot.gemm = make_gemm(backend_, *kernels_);
    slot.scratch = AlignedBuffer<float>(scratch_floats_);
    slot.context = {kernels_, slot.gemm.get(), slot.scratch.data()};
  }

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
  std::vector<Slot> slots_;
};

}  // namespace cllm
