// Holds the first exception of a group of threads until the thread that waits for it rethrows it.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: any thread may call every function.
class ErrorSlot {
 public:
  /// Keeps the first exception; later ones are dropped.
  void set(std::exception_ptr error) noexcept {
    std::uint32_t empty = kEmpty;
    if (!state_.compare_exchange_strong(empty, kWriting, std::memory_order_acq_rel)) return;
    error_ = std::move(error);
    state_.store(kSet, std::memory_order_release);
  }

  /// Returns true once set() has been called. It is cheap enough to ask before every tile.
  bool raised() const noexcept { return state_.load(std::memory_order_relaxed) != kEmpty; }

  /// Throws the exception that was set, if any; the slot stays raised. Waits for a set() that is
  /// under way, so that a raised slot always throws.
  void rethrow() const {
    std::uint32_t state = state_.load(std::memory_order_acquire);
    if (state == kEmpty) return;
    for (; state != kSet; state = state_.load(std::memory_order_acquire)) spin_pause();
    std::rethrow_exception(error_);
  }

 private:
  static constexpr std::uint32_t kEmpty = 0, kWriting = 1, kSet = 2;

  // Written once by the thread that fails first; its release orders error_.
  alignas(kCacheLinePair) std::atomic<std::uint32_t> state_{kEmpty};
  std::exception_ptr error_;
};

}  // namespace cllm
