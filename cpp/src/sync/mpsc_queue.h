// This is a bounded lock-free queue of many producers and one consumer (after Vyukov's bounded
// queue).
//
// Thread safety: push from any thread; pop and empty from the one consumer.
// Invariants
//  1. Cell i carries a turn: i + n * capacity while it is free for the producer of that ticket, one
//     more while it holds that ticket's value.
//  2. tail_ hands out tickets; only producers write it. head_ belongs to the consumer.
//  3. A value is published by the store (release) of its cell's turn and read after a load
//     (acquire) of that turn; the cell is given back the same way.
// The values of one producer arrive in the order of its pushes. The queue is meant for values of a
// few words and for producers whose number of outstanding values is bounded by a protocol. A push
// to a full queue waits; such a protocol never lets that happen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "sync/atomics.h"

namespace cllm {

constexpr std::size_t kCacheLinePair =
    128;  ///< x86 fetches lines in pairs: writers stay this far apart

template <class T, class Atomics = StdAtomics>
class MpscQueue {
 public:
  /// REQUIRES: capacity is a power of two.
  explicit MpscQueue(std::size_t capacity)
      : mask_(capacity - 1), cells_(std::make_unique<Cell[]>(capacity)) {
    for (std::size_t i = 0; i < capacity; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }

  void push(const T& value) noexcept {
    const std::uint64_t ticket = tail_.fetch_add(1, std::memory_order_relaxed);
    Cell& cell = cells_[ticket & mask_];
    while (cell.turn.load(std::memory_order_acquire) != ticket) Atomics::pause();
    cell.value = value;
    cell.turn.store(ticket + 1, std::memory_order_release);
  }

  /// Returns false when no value is published yet.
  bool pop(T& value) noexcept {
    const std::uint64_t head = head_;
    Cell& cell = cells_[head & mask_];
    if (cell.turn.load(std::memory_order_acquire) != head + 1) return false;
    value = cell.value;
    cell.turn.store(head + mask_ + 1, std::memory_order_release);
    head_ = head + 1;
    return true;
  }

  bool empty() const noexcept {
    const std::uint64_t head = head_;
    return cells_[head & mask_].turn.load(std::memory_order_acquire) != head + 1;
  }

  /// Counts the values pushed and not yet popped, as the consumer sees it; pushes may be under way.
  std::uint64_t size_estimate() const noexcept {
    return tail_.load(std::memory_order_relaxed) - head_;
  }

 private:
  struct alignas(kCacheLinePair) Cell {
    typename Atomics::template Atomic<std::uint64_t> turn{0};
    typename Atomics::template Plain<T> value{};
  };
  static_assert(!std::is_same_v<Atomics, StdAtomics> || sizeof(T) > 64 ||
                    sizeof(Cell) == kCacheLinePair,
                "a cell is one pair of lines");

  // These are read by all and written by nobody after construction.
  const std::size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> tail_{0};  // producers
  alignas(kCacheLinePair) typename Atomics::template Plain<std::uint64_t> head_{0};   // consumer
};

}  // namespace cllm
