// The mailbox beside std::mutex with a condition variable and moodycamel's blocking queue: CPU time
// of a message and how long after its push a sleeping reader has it.
//
// Producers push 20 000 messages a second together and sleep in between, so the reader parks nearly
// every time, as spheres do. ns/message is the CPU time of all threads less that of the same
// producers pushing nowhere. Every figure is the least of the repetitions: a busy machine adds.
#include <benchmark/benchmark.h>
#include <sys/prctl.h>

#if __has_include(<concurrentqueue/blockingconcurrentqueue.h>)
#include <concurrentqueue/blockingconcurrentqueue.h>
#define CLLM_MOODYCAMEL 1
#else
#define CLLM_MOODYCAMEL 0  // Debian's libconcurrentqueue-dev has it
#endif

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "sync/mpsc_queue.h"
#include "sync/parker.h"

namespace cllm {
namespace {

struct Note {
  std::uint64_t pushed_ns;
  std::uint64_t words[2];
};

constexpr int kMessages = 3000;  // of a repetition
constexpr std::int64_t kBetweenNs = 50'000;
constexpr std::size_t kCapacity = 8192;  // a producer never waits: push is what is measured

/// As spheres use it, without their counters.
class Mailbox {
 public:
  void push(const Note& note) {
    queue_.push(note);
    parker_.wake();
  }
  Note wait_pop() {
    Note note{};
    while (!queue_.pop(note)) parker_.park_unless([this] { return !queue_.empty(); });
    return note;
  }

 private:
  MpscQueue<Note> queue_{kCapacity};
  Parker<> parker_;
};

class MutexBox {
 public:
  void push(const Note& note) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      notes_.push_back(note);
    }
    some_.notify_one();
  }
  Note wait_pop() {
    std::unique_lock<std::mutex> lock(mutex_);
    some_.wait(lock, [this] { return !notes_.empty(); });
    const Note note = notes_.front();
    notes_.pop_front();
    return note;
  }

 private:
  std::mutex mutex_;
  std::condition_variable some_;
  std::deque<Note> notes_;
};

#if CLLM_MOODYCAMEL
class MoodycamelBox {
 public:
  void push(const Note& note) { queue_.enqueue(note); }
  Note wait_pop() {
    Note note{};
    queue_.wait_dequeue(note);
    return note;
  }

 private:
  moodycamel::BlockingConcurrentQueue<Note> queue_{kCapacity};
};
#endif

/// Where the cost of pacing is measured.
class Nowhere {
 public:
  void push(const Note& note) { benchmark::DoNotOptimize(&note); }
};

template <class Box>
void produce(Box& box, int producers) {
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([&box, producers] {
      prctl(PR_SET_TIMERSLACK, 1);
      for (int i = 0; i < kMessages / producers; ++i) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(kBetweenNs * producers));
        box.push({now_ns(), {1, 2}});
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

double process_cpu_ns() { return static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID)); }

double pacing_cpu_ns(int producers) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 15; ++i) {
    Nowhere nowhere;
    const double start = process_cpu_ns();
    produce(nowhere, producers);
    least = std::min(least, process_cpu_ns() - start);
  }
  return least;
}

template <class Box>
void exchange(benchmark::State& state) {
  const int producers = static_cast<int>(state.range(0));
  const int messages = kMessages / producers * producers;
  const double pacing = pacing_cpu_ns(producers);
  double cpu = std::numeric_limits<double>::infinity(), p50 = cpu, p99 = cpu;
  for ([[maybe_unused]] auto turn : state) {
    Box box;
    std::vector<std::uint64_t> waited;
    waited.reserve(static_cast<std::size_t>(messages));
    const double start = process_cpu_ns();
    std::thread reader([&] {
      for (int i = 0; i < messages; ++i) {
        const std::uint64_t pushed = box.wait_pop().pushed_ns;
        waited.push_back(now_ns() - pushed);
      }
    });
    produce(box, producers);
    reader.join();
    cpu = std::min(cpu, (process_cpu_ns() - start - pacing) / messages);
    std::sort(waited.begin(), waited.end());
    p50 = std::min(p50, static_cast<double>(waited[waited.size() / 2]));
    p99 = std::min(p99, static_cast<double>(waited[waited.size() * 99 / 100]));
  }
  state.counters["cpu_ns/message"] = cpu;
  state.counters["p50_ns"] = p50;
  state.counters["p99_ns"] = p99;
}

void arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgName("producers")->Arg(1)->Arg(4)->Arg(12)->Iterations(25)->UseRealTime();
  bench->Unit(benchmark::kMillisecond);
}

BENCHMARK_TEMPLATE(exchange, Mailbox)->Apply(arguments);
BENCHMARK_TEMPLATE(exchange, MutexBox)->Apply(arguments);
#if CLLM_MOODYCAMEL
BENCHMARK_TEMPLATE(exchange, MoodycamelBox)->Apply(arguments);
#endif

}  // namespace
}  // namespace cllm

BENCHMARK_MAIN();
