// The mailbox beside std::mutex with a condition variable and moodycamel's blocking queue: CPU time
// of a message and how long after its push a sleeping reader has it.
//
// Each round runs all of them one after another, in random order, so that whatever else the machine
// does, and how the one before left it, falls on all; a figure is the median over the rounds, of a
// round's own p50 or p99 or of its mean CPU time a message (the reader's and that of the pushes
// with their wakes, by the threads' clocks). Ratios are ours over theirs in the same round, the
// median with its 95 % interval. Producers sleep between messages: together, so that they push at
// the same time as the children of a sphere do at the end of a phase, or each for itself, so that
// the reader parks nearly every time. Where a wake needs another core that rests, most of the time
// is the system's and the same for all.
#include <benchmark/benchmark.h>
#include <sys/prctl.h>

#if __has_include(<concurrentqueue/blockingconcurrentqueue.h>)
#include <concurrentqueue/blockingconcurrentqueue.h>
#define CLLM_MOODYCAMEL 1
#else
#define CLLM_MOODYCAMEL 0  // Debian's libconcurrentqueue-dev has it
#endif

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cpu/allowance.h"
#include "sync/mpsc_queue.h"
#include "sync/parker.h"

namespace cllm {
namespace {

struct Note {
  std::uint64_t pushed_ns;
  std::uint64_t words[2];
};

constexpr int kMessages = 1200;  // of a round
constexpr std::int64_t kBetweenNs = 50'000;
constexpr std::size_t kCapacity = 256;  // as of a sphere: in the cache, and never full here

/// As spheres use it, without their counters: before the reader sleeps it looks for a message for a
/// while, where cores are left over, or lets other threads of its core go first, where threads
/// outnumber cores.
template <std::uint64_t kLookNs, int kYields>
class Mailbox {
 public:
  void push(const Note& note) {
    queue_.push(note);
    parker_.wake();
  }
  Note wait_pop() {
    Note note{};
    if (queue_.pop(note)) return note;
    for (const std::uint64_t start = now_ns(); kLookNs > 0 && now_ns() - start < kLookNs;) {
      if (queue_.pop(note)) return note;
      spin_pause();
    }
    for (int i = 0; i < kYields; ++i) {
      yield_core();
      if (queue_.pop(note)) return note;
    }
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

enum Pattern : std::int64_t { kTogether, kApart };

/// Sleeps before message i of a producer.
void sleep_before(int i, int producers, Pattern pattern, std::uint64_t start) {
  const std::int64_t between = kBetweenNs * producers;
  timespec time = {0, between};
  if (pattern == kApart) {
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
    return;
  }
  const auto when = static_cast<std::int64_t>(start) + (i + 1) * between;
  time = {when / 1'000'000'000, when % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
}

/// The CPU time of all pushes.
template <class Box>
std::uint64_t produce(Box& box, int producers, Pattern pattern) {
  const int each = kMessages / producers;
  std::vector<std::uint64_t> cpu(static_cast<std::size_t>(producers));
  std::vector<std::thread> threads;
  const std::uint64_t start = now_ns() + 1'000'000;  // all threads are there by then
  for (std::uint64_t& mine : cpu) {
    threads.emplace_back([&box, &mine, producers, pattern, each, start] {
      prctl(PR_SET_TIMERSLACK, 1);
      std::uint64_t sum = 0;
      for (int i = 0; i < each; ++i) {
        sleep_before(i, producers, pattern, start);
        const std::uint64_t before = thread_cpu_ns();
        box.push({now_ns(), {1, 2}});
        sum += thread_cpu_ns() - before;
      }
      mine = sum;
    });
  }
  for (std::thread& t : threads) t.join();
  return std::accumulate(cpu.begin(), cpu.end(), std::uint64_t{0});
}

/// What one box did in one round, in nanoseconds.
struct Round {
  double cpu, p50, p99;
};

template <class Box>
Round exchange(int producers, Pattern pattern) {
  const int messages = kMessages / producers * producers;
  Box box;
  Times waited;
  waited.reserve(static_cast<std::size_t>(messages));
  std::uint64_t reader_cpu = 0;
  std::thread reader([&] {
    const std::uint64_t before = thread_cpu_ns();
    for (int i = 0; i < messages; ++i) {
      const std::uint64_t pushed = box.wait_pop().pushed_ns;
      waited.push_back(now_ns() - pushed);
    }
    reader_cpu = thread_cpu_ns() - before;
  });
  const std::uint64_t push_cpu = produce(box, producers, pattern);
  reader.join();
  std::sort(waited.begin(), waited.end());
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(waited[waited.size() * percent / 100]);
  };
  return {static_cast<double>(push_cpu + reader_cpu) / messages, at(50), at(99)};
}

struct Contestant {
  const char* name;
  Round (*round)(int producers, Pattern pattern);
  std::vector<Round> rounds;
};

/// A median and where that of all rounds there could be lies with a certainty of 95 %, whatever
/// their distribution: the ranks within which a fair coin falls.
struct Median {
  double least, middle, most;
};

Median median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  const auto n = static_cast<double>(all.size());
  const auto low = static_cast<std::size_t>(std::max(0.0, (n - 1.96 * std::sqrt(n)) / 2));
  return {all[low], all[all.size() / 2], all[all.size() - 1 - low]};
}

void report(benchmark::State& state, const std::vector<Contestant>& contestants,
            const std::string& name, double Round::* figure) {
  const std::vector<Round>& ours = contestants[0].rounds;
  for (const Contestant& c : contestants) {
    std::vector<double> all, ratios;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      all.push_back(c.rounds[i].*figure);
      ratios.push_back(ours[i].*figure / all.back());
    }
    state.counters[c.name + ("_" + name) + "_ns"] = median(all).middle;
    if (&c == &contestants[0]) continue;
    const Median ratio = median(ratios);
    state.counters[name + "_over_" + c.name] = ratio.middle;
    state.counters[name + "_over_" + c.name + "_least"] = ratio.least;
    state.counters[name + "_over_" + c.name + "_most"] = ratio.most;
  }
}

void mailboxes(benchmark::State& state) {
  const int producers = static_cast<int>(state.range(0));
  const auto pattern = static_cast<Pattern>(state.range(1));
  const auto at_once = exchange<Mailbox<0, 0>>;
  const auto yielding = exchange<Mailbox<0, 3>>;
  std::vector<Contestant> contestants = {
      {"ours", producers > usable_cores() ? yielding : at_once, {}},  // the spheres' rule
      {"condvar", exchange<MutexBox>, {}},
      {"ours_asleep_at_once", at_once, {}},
      {"ours_looking_60us", exchange<Mailbox<60000, 0>>, {}}};
#if CLLM_MOODYCAMEL
  contestants.push_back({"moodycamel", exchange<MoodycamelBox>, {}});
#endif
  for (const Contestant& c : contestants) c.round(producers, pattern);  // warm
  std::vector<std::size_t> order(contestants.size());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(static_cast<unsigned>(producers));
  for ([[maybe_unused]] auto turn : state) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      contestants[i].rounds.push_back(contestants[i].round(producers, pattern));
    }
  }
  report(state, contestants, "cpu", &Round::cpu);
  report(state, contestants, "p50", &Round::p50);
  report(state, contestants, "p99", &Round::p99);
}

BENCHMARK(mailboxes)
    ->ArgNames({"producers", "apart"})
    ->ArgsProduct({{1, 4, 12}, {kTogether, kApart}})
    ->Iterations(101)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cllm

BENCHMARK_MAIN();
