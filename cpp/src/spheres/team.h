// A team records which workers are at a job and which part of its rows each should take.
//
// It is only a hint about who takes what: nothing is lost when two workers, or none, believe that a
// part is theirs. Therefore its word orders nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "sync/atomics.h"

namespace cllm {

/// Thread safety: any thread may call every function.
template <class Atomics = StdAtomics>
class BasicTeam {
 public:
  /// Workers sit here. In a larger crew neighbouring workers share a seat.
  static constexpr int kSeats = 64;

  void clear() noexcept { word_.store(0, std::memory_order_relaxed); }
  /// The worker at `seat`, 0 <= seat < kSeats, comes here or goes elsewhere. Both are idempotent.
  void join(int seat) noexcept {
    if ((members() & bit(seat)) == 0) word_.fetch_or(bit(seat), std::memory_order_relaxed);
  }
  void leave(int seat) noexcept {
    if ((members() & bit(seat)) != 0) word_.fetch_and(~bit(seat), std::memory_order_relaxed);
  }

  /// A share is a half-open range of parts.
  struct Share {
    std::size_t begin, end;
    bool crowded;  ///< there are more members than parts, so others have the same part
  };
  /// Says what falls to `seat` out of `parts` parts, as if it had joined. Seats take parts in order
  /// of rank, each at least one unless there are none. A member alone has all parts.
  Share share(int seat, std::size_t parts) const noexcept {
    const std::uint64_t all = members() | bit(seat);
    const auto rank = static_cast<std::size_t>(__builtin_popcountll(all & (bit(seat) - 1)));
    const auto count = static_cast<std::size_t>(__builtin_popcountll(all));
    const std::size_t begin = rank * parts / count;
    const std::size_t end = std::max(begin + 1, (rank + 1) * parts / count);
    return {begin, std::min(end, parts), count > parts};
  }

 private:
  static std::uint64_t bit(int seat) noexcept { return std::uint64_t{1} << seat; }
  std::uint64_t members() const noexcept { return word_.load(std::memory_order_relaxed); }

  typename Atomics::template Atomic<std::uint64_t> word_{0};  // a bit for each seat
};

using Team = BasicTeam<>;

}  // namespace cllm
