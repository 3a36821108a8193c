// Queue, parker and error slot run under real threads: nothing is lost, doubled or reordered, and
// no wake is missed.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "sync/error_slot.h"
#include "sync/mpsc_queue.h"
#include "sync/parker.h"
#include "watchdog.h"

namespace cllm {
namespace {

using std::chrono::seconds;

struct Item {
  std::uint32_t producer = 0;
  std::uint32_t number = 0;
};

TEST(MpscQueue, OneThreadWrapsAround) {
  MpscQueue<int> queue(4);
  int value = -1;
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.pop(value));
  int next_in = 0, next_out = 0;
  for (int round = 0; round < 1000; ++round) {
    const int count = 1 + round % 4;  // up to full
    for (int i = 0; i < count; ++i) queue.push(next_in++);
    EXPECT_EQ(queue.size_estimate(), static_cast<std::uint64_t>(count));
    EXPECT_FALSE(queue.empty());
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(queue.pop(value));
      ASSERT_EQ(value, next_out++);
    }
    ASSERT_FALSE(queue.pop(value));
    ASSERT_TRUE(queue.empty());
  }
}

/// Every producer's items come once each and in its order, however the producers interleave. At
/// most `outstanding` items of a producer are under way, as a protocol sees to: 0 for no bound.
void check_producers(std::uint32_t producers, std::uint32_t items, std::size_t capacity,
                     std::uint32_t outstanding) {
  const Watchdog watchdog("the queue of " + std::to_string(producers) + " producers", seconds(100));
  MpscQueue<Item> queue(capacity);
  struct alignas(128) Taken {
    std::atomic<std::uint32_t> items{0};
  };
  std::vector<Taken> taken(producers);
  std::vector<std::thread> threads;
  for (std::uint32_t p = 0; p < producers; ++p) {
    threads.emplace_back([&, p] {
      for (std::uint32_t n = 0; n < items; ++n) {
        while (outstanding > 0 &&
               n - taken[p].items.load(std::memory_order_relaxed) >= outstanding) {
          std::this_thread::yield();
        }
        queue.push({p, n});
      }
    });
  }
  std::uint64_t wrong = 0;
  for (std::uint64_t received = 0; received < std::uint64_t{items} * producers;) {
    Item item;
    if (!queue.pop(item)) {
      std::this_thread::yield();
      continue;
    }
    ++received;
    // A lost item leaves a gap, a doubled one goes back: both break the producer's count.
    ASSERT_LT(item.producer, producers);
    auto& count = taken[item.producer].items;
    if (item.number != count.load(std::memory_order_relaxed)) ++wrong;
    count.fetch_add(1, std::memory_order_relaxed);
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size_estimate(), 0u);
}

TEST(MpscQueue, ManyProducersLoseAndDoubleNothing) { check_producers(12, 4000, 64, 5); }
TEST(MpscQueue, SmallAndOftenFullToTheLastCell) { check_producers(4, 4000, 4, 1); }
TEST(MpscQueue, OneProducer) { check_producers(1, 20000, 8, 8); }
// Beyond what it is meant for: slow, as producers spin, but nothing is lost.
TEST(MpscQueue, ProducersWaitForAFullQueue) { check_producers(3, 20, 2, 0); }

/// Two threads hand a number to and fro; a lost wake stops them for ever.
template <class Delay>
void ping_pong(std::uint32_t rounds, Delay delay) {
  const Watchdog watchdog("a ping-pong of two parkers", seconds(100));
  struct alignas(128) Side {
    Parker<> parker;
    std::atomic<std::uint32_t> ball{0};
  } sides[2];
  const auto play = [&](int self) {
    std::mt19937 random(static_cast<std::uint32_t>(self) + 1);
    Side &mine = sides[self], &other = sides[1 - self];
    for (std::uint32_t r = 1; r <= rounds; ++r) {
      if (self == 1 || r > 1) {
        const std::uint32_t wanted = self == 1 ? r : r - 1;
        const auto ready = [&] { return mine.ball.load(std::memory_order_acquire) >= wanted; };
        while (!ready()) {
          delay(random);
          mine.parker.park_unless(ready);
        }
      }
      delay(random);
      other.ball.store(r, std::memory_order_release);
      other.parker.wake();
    }
  };
  std::thread second(play, 1);
  play(0);
  second.join();
  EXPECT_EQ(sides[1].ball.load(), rounds);
}

TEST(Parker, LosesNoWakeAtOnce) {
  ping_pong(100000, [](std::mt19937&) {});
}

TEST(Parker, LosesNoWakeWithRandomDelays) {
  ping_pong(100000, [](std::mt19937& random) {
    for (std::uint32_t turns = random() % 64; turns > 0; --turns) spin_pause();
    if (random() % 1024 == 0) std::this_thread::yield();
  });
}

TEST(Parker, DoesNotSleepWhenReady) {
  const Watchdog watchdog("a parker that need not sleep", seconds(20));
  Parker<> parker;
  EXPECT_FALSE(parker.park_unless([] { return true; }));
}

// The waker comes right after the owner's last look, where a wake is easiest to lose.
TEST(Parker, WakeAfterTheLastLookIsNotLost) {
  const Watchdog watchdog("a wake between look and sleep", seconds(20));
  Parker<> parker;
  bool there = false;
  for (int round = 0; round < 3; ++round) {
    there = false;
    while (!there) {
      parker.park_unless([&] {
        const bool seen = there;
        there = true;
        parker.wake();
        return seen;
      });
    }
  }
}

// Many wakers and one sleeper, through the queue: how a mailbox uses both.
TEST(Parker, ManyWakersOneSleeper) {
  const Watchdog watchdog("a sleeper with many wakers", seconds(100));
  constexpr int kWakers = 8;
  constexpr std::uint32_t kItems = 2500;
  MpscQueue<Item> queue(32768);  // holds all: this is about wakes
  Parker<> parker;
  std::vector<std::thread> threads;
  for (int p = 0; p < kWakers; ++p) {
    threads.emplace_back([&, p] {
      std::mt19937 random(static_cast<std::uint32_t>(p));
      for (std::uint32_t n = 0; n < kItems; ++n) {
        queue.push({static_cast<std::uint32_t>(p), n});
        parker.wake();
        for (std::uint32_t turns = random() % 256; turns > 0; --turns) spin_pause();
      }
    });
  }
  std::uint64_t sum = 0;
  for (std::uint32_t received = 0; received < kWakers * kItems;) {
    Item item;
    if (queue.pop(item)) {
      ++received;
      sum += item.number;
    } else {
      parker.park_unless([&] { return !queue.empty(); });
    }
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(sum, std::uint64_t{kWakers} * kItems * (kItems - 1) / 2);
}

std::string thrown_by(const ErrorSlot& slot) {
  try {
    slot.rethrow();
  } catch (const std::out_of_range& e) {
    return e.what();
  }
  return "nothing";
}

TEST(ErrorSlot, KeepsTheFirstAndItsType) {
  ErrorSlot slot;
  EXPECT_FALSE(slot.raised());
  EXPECT_EQ(thrown_by(slot), "nothing");
  slot.set(std::make_exception_ptr(std::out_of_range("first")));
  slot.set(std::make_exception_ptr(std::logic_error("second")));
  EXPECT_TRUE(slot.raised());
  EXPECT_EQ(thrown_by(slot), "first");
  EXPECT_EQ(thrown_by(slot), "first") << "it stays";
}

// One of many wins, and who sees the slot raised always gets an exception out of it.
TEST(ErrorSlot, RaisedIsAlwaysThrown) {
  const Watchdog watchdog("an error slot", seconds(100));
  for (int round = 0; round < 200; ++round) {
    ErrorSlot slot;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&slot, t] {
        slot.set(std::make_exception_ptr(
            std::out_of_range(std::string(40, static_cast<char>('a' + t)))));
      });
    }
    while (!slot.raised()) std::this_thread::yield();
    const std::string text = thrown_by(slot);
    EXPECT_EQ(text.size(), 40u) << text;
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(thrown_by(slot), text);
  }
}

}  // namespace
}  // namespace cllm
