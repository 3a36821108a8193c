// The mailbox beside std::mutex with a condition variable and moodycamel's blocking queue: CPU time
// of a message and how long after its push a sleeping reader has it.
//
// Producers push 20 000 messages a second together and sleep in between, so the reader parks nearly
// every time, as spheres do. Of a message: push_ns is the median time of a push with its wake,
// read_ns the reader's CPU time, cpu_ns their sum, p50 and p99 the time from push to reader. Every
// figure is the least of the repetitions: a busy machine adds.
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

using Times = std::vector<std::uint64_t>;

double percentile(Times& times, std::size_t percent) {
  std::sort(times.begin(), times.end());
  return static_cast<double>(times[times.size() * percent / 100]);
}

/// Returns how long each push took.
template <class Box>
Times produce(Box& box, int producers) {
  const int each = kMessages / producers;
  std::vector<Times> pushes(static_cast<std::size_t>(producers));
  std::vector<std::thread> threads;
  for (Times& mine : pushes) {
    mine.reserve(static_cast<std::size_t>(each));
    threads.emplace_back([&box, &mine, producers, each] {
      prctl(PR_SET_TIMERSLACK, 1);
      for (int i = 0; i < each; ++i) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(kBetweenNs * producers));
        const std::uint64_t start = now_ns();
        box.push({start, {1, 2}});
        mine.push_back(now_ns() - start);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  Times all;
  for (const Times& mine : pushes) all.insert(all.end(), mine.begin(), mine.end());
  return all;
}

template <class Box>
void exchange(benchmark::State& state) {
  const int producers = static_cast<int>(state.range(0));
  const int messages = kMessages / producers * producers;
  double push = std::numeric_limits<double>::infinity(), read = push, p50 = push, p99 = push;
  for ([[maybe_unused]] auto turn : state) {
    Box box;
    Times waited;
    waited.reserve(static_cast<std::size_t>(messages));
    double reader_cpu = 0;
    std::thread reader([&] {
      const std::uint64_t start = thread_cpu_ns();
      for (int i = 0; i < messages; ++i) {
        const std::uint64_t pushed = box.wait_pop().pushed_ns;
        waited.push_back(now_ns() - pushed);
      }
      reader_cpu = static_cast<double>(thread_cpu_ns() - start);
    });
    Times pushes = produce(box, producers);
    reader.join();
    push = std::min(push, percentile(pushes, 50));
    read = std::min(read, reader_cpu / messages);
    p50 = std::min(p50, percentile(waited, 50));
    p99 = std::min(p99, percentile(waited, 99));
  }
  state.counters["push_ns"] = push;
  state.counters["read_ns"] = read;
  state.counters["cpu_ns"] = push + read;
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
