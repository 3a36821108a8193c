// Spheres send these messages to each other along the edges of the tree; a mailbox receives them.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "sync/mpsc_queue.h"
#include "sync/parker.h"
#include "telemetry/counters.h"

namespace cllm {

class Stage;

enum class MessageKind : std::uint32_t {
  kWork,  ///< down: join the work on a stage
  kIdle,  ///< up: the sender has finished its last Work and may be sent another
  kDone,  ///< up: a reporting job of the stage has finished
  kStop,  ///< down: end the thread
};

struct Message {
  MessageKind kind = MessageKind::kStop;
  std::int32_t from = -1;  ///< id of the sphere that sent it
  Stage* stage = nullptr;  ///< kWork, kDone
  std::int32_t job = -1;   ///< kDone
};

/// A mailbox has many senders and one owner. A sphere gets no second Work before it has said Idle,
/// and a job reports once per stage, so `capacity` for both bounds the number of waiting messages.
class Mailbox {
 public:
  Mailbox(std::size_t capacity, SphereCounters& counters) : queue_(capacity), counters_(counters) {}

  void push(const Message& message) noexcept {
    queue_.push(message);
    parker_.wake();
  }

  bool has_message() const noexcept { return !queue_.empty(); }

  bool try_pop(Message& message) noexcept {
    const std::uint64_t waiting = queue_.size_estimate();
    if (!queue_.pop(message)) return false;
    counters_.queue_high_water.raise_to(waiting);
    counters_.messages_in.add(1);
    return true;
  }

  /// How an owner looks for a message before it sleeps. Where cores are free, it looks for some
  /// time. Where threads outnumber cores, it lets other threads of its core go first: they may be
  /// about to send, and an owner that stays awake need not be woken for each message.
  struct Look {
    std::uint64_t spin_ns = 0;
    int yields = 0;
  };

  /// Returns the next message: looks first, then sleeps until there is one.
  Message wait_pop(const Look& look) noexcept {
    Message message;
    if (look.spin_ns > 0) {
      const std::uint64_t start = now_ns();
      do {
        if (try_pop(message)) return message;
        spin_pause();
      } while (now_ns() - start < look.spin_ns);
    }
    for (int i = 0; i < look.yields; ++i) {
      if (try_pop(message)) return message;
      yield_core();
    }
    while (!try_pop(message)) {
      const std::uint64_t start = now_ns();
      if (parker_.park_unless([this] { return has_message(); })) {
        counters_.parked_ns.add(now_ns() - start);
      }
    }
    return message;
  }

 private:
  MpscQueue<Message> queue_;
  Parker<> parker_;
  SphereCounters& counters_;
};

}  // namespace cllm
