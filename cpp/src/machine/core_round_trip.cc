#include "machine/core_round_trip.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cpu/affinity.h"
#include "sync/futex.h"
#include "sync/mpsc_queue.h"

namespace cllm {
namespace {

constexpr int kBatches = 31, kTrips = 100;

struct Words {
  alignas(kCacheLinePair) std::atomic<int> there{0};  // the caller writes it
  alignas(kCacheLinePair) std::atomic<int> back{0};   // the other writes it; -1: it cannot run
};

void await(const std::atomic<int>& word, int value) {
  while (word.load(std::memory_order_acquire) != value) {
  }
}

bool run_on(int cpu) {
  allow_cpus({cpu});
  return thread_cpus() == std::vector<int>{cpu};
}

}  // namespace

double core_round_trip_ns(int cpu, int other) {
  if (cpu == other) return 0;
  double median = 0;
  const auto measure = [&] {
    Words words;
    if (!run_on(cpu)) return;
    std::thread answering([&words, other] {
      if (!run_on(other)) return words.back.store(-1);
      words.back.store(1, std::memory_order_release);
      for (int trip = 2; trip < 2 + kBatches * kTrips; ++trip) {
        await(words.there, trip);
        words.back.store(trip, std::memory_order_release);
      }
    });
    int ready = 0;
    while ((ready = words.back.load(std::memory_order_acquire)) == 0) spin_pause();
    std::vector<double> batches;
    for (int trip = 2; ready > 0 && trip < 2 + kBatches * kTrips;) {
      const std::uint64_t start = now_ns();
      for (int t = 0; t < kTrips; ++t, ++trip) {
        words.there.store(trip, std::memory_order_release);
        await(words.back, trip);
      }
      batches.push_back(static_cast<double>(now_ns() - start) / kTrips);
    }
    answering.join();
    if (batches.empty()) return;
    std::nth_element(batches.begin(), batches.begin() + kBatches / 2, batches.end());
    median = batches[kBatches / 2];
  };
  std::thread caller([&] {  // new threads, so that no other thread's CPUs change
    try {
      measure();
    } catch (const std::system_error&) {
      median = 0;  // not known: the second thread cannot be made
    }
  });
  caller.join();
  return median;
}

}  // namespace cllm
