// Holds the first exception of a group of threads until the one who waits for it rethrows it.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: set and raised from any thread; rethrow by the root, after every thread has
/// handed over its work (their messages order the exception before it).
class ErrorSlot {
 public:
  /// Keeps the first one; later ones are dropped.
  void set(std::exception_ptr error) noexcept {
    std::uint32_t empty = kEmpty;
    if (!state_.compare_exchange_strong(empty, kWriting, std::memory_order_acq_rel)) return;
    error_ = std::move(error);
    state_.store(kSet, std::memory_order_release);
  }

  /// True from the first set on: cheap enough to ask before every tile.
  bool raised() const noexcept { return state_.load(std::memory_order_relaxed) != kEmpty; }

  /// Throws what was set, if anything; the slot stays raised.
  void rethrow() const {
    if (state_.load(std::memory_order_acquire) == kSet) std::rethrow_exception(error_);
  }

 private:
  static constexpr std::uint32_t kEmpty = 0, kWriting = 1, kSet = 2;

  // Written once by the thread that fails first; its release orders error_.
  alignas(kCacheLinePair) std::atomic<std::uint32_t> state_{kEmpty};
  std::exception_ptr error_;
};

}  // namespace cllm
