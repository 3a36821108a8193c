// These are the atomics for the model checker relacy, which runs a test over many interleavings and
// over every value that the memory model lets a load see. Include this file after everything of the
// standard library and of GoogleTest: relacy has macros for common words, which end here.
#pragma once

#include <atomic>
#include <cstdint>
#include <relacy/relacy.hpp>

#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

// relacy replaces new and delete with those of its own heap, but not these two.
inline void operator delete(void* p, std::size_t) noexcept { ::operator delete(p); }
inline void operator delete[](void* p, std::size_t) noexcept { ::operator delete[](p); }

namespace cllm {

/// Plants a bug: it says which order of the source the checker sees as relaxed.
enum class Weaken { kNothing, kStoreRelease, kLoadAcquire, kExchange, kFetchSub };

/// Shows a word to the checker. With `kEarlyWakes`, sleepers may also wake for no reason.
template <Weaken kWeaken, bool kEarlyWakes>
struct RelacyAtomics {
  static constexpr rl::memory_order order(std::memory_order order) {
    switch (order) {
      case std::memory_order_relaxed:
        return rl::mo_relaxed;
      case std::memory_order_consume:
        return rl::mo_consume;
      case std::memory_order_acquire:
        return rl::mo_acquire;
      case std::memory_order_release:
        return rl::mo_release;
      case std::memory_order_acq_rel:
        return rl::mo_acq_rel;
      case std::memory_order_seq_cst:
        break;
    }
    return rl::mo_seq_cst;
  }

  template <class T>
  class Atomic {
   public:
    Atomic(T value = T()) : word_(value) {}

    T load(std::memory_order o) const {
      return word_.load(kWeaken == Weaken::kLoadAcquire ? rl::mo_relaxed : order(o), RL_INFO);
    }
    void store(T value, std::memory_order o) {
      word_.store(value, kWeaken == Weaken::kStoreRelease ? rl::mo_relaxed : order(o), RL_INFO);
    }
    T exchange(T value, std::memory_order o) {
      return word_(RL_INFO).exchange(value,
                                     kWeaken == Weaken::kExchange ? rl::mo_relaxed : order(o));
    }
    T fetch_add(T value, std::memory_order o) { return word_(RL_INFO).fetch_add(value, order(o)); }
    T fetch_sub(T value, std::memory_order o) {
      return word_(RL_INFO).fetch_sub(value,
                                      kWeaken == Weaken::kFetchSub ? rl::mo_relaxed : order(o));
    }
    T fetch_or(T value, std::memory_order o) { return word_(RL_INFO).fetch_or(value, order(o)); }
    T fetch_and(T value, std::memory_order o) { return word_(RL_INFO).fetch_and(value, order(o)); }
    bool compare_exchange_weak(T& expected, T value, std::memory_order o,
                               std::memory_order failure) {
      return word_.compare_exchange_weak(expected, value, order(o), RL_INFO, order(failure),
                                         RL_INFO);
    }
    bool compare_exchange_weak(T& expected, T value, std::memory_order o) {
      return word_.compare_exchange_weak(expected, value, order(o), RL_INFO);
    }

    /// Compares and falls asleep in one step, as the kernel does, on the newest value. This gives
    /// no order, but the thread can no longer see an older value.
    template <class Same>
    void sleep_while(Same same) const {
      if (!same(word_(RL_INFO).fetch_add(T(), rl::mo_relaxed))) return;
      word_.wait(rl::ctx(), false, kEarlyWakes, RL_INFO);
    }
    void wake(int count) const {
      rl::context& c = rl::ctx();
      c.sched();
      word_.wake(c, count, RL_INFO);
    }

   private:
    mutable rl::atomic<T> word_;
  };

  /// Is read and written without an atomic: the checker reports accesses that are not ordered as a
  /// data race.
  template <class T>
  class Plain {
   public:
    Plain() = default;
    Plain(T value) { var_(RL_INFO).store(value); }
    Plain& operator=(const T& value) {
      var_(RL_INFO).store(value);
      return *this;
    }
    operator T() const { return var_(RL_INFO).load(); }

   private:
    mutable rl::var<T> var_;
  };

  static void pause() { rl::yield(1, RL_INFO); }

  static void wait(const Atomic<std::uint32_t>& word, std::uint32_t expected) {
    word.sleep_while([=](std::uint32_t value) { return value == expected; });
  }
  static void wake_one(const Atomic<std::uint32_t>& word) { word.wake(1); }
  static void wait_high(const Atomic<std::uint64_t>& word, std::uint32_t expected) {
    word.sleep_while([=](std::uint64_t value) { return value >> 32 == expected; });
  }
  static void wake_high(const Atomic<std::uint64_t>& word, int count) { word.wake(count); }
};

}  // namespace cllm
