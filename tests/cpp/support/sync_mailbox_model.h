// The model checker sees queue and parker as a mailbox uses them: producers, and one consumer that
// sleeps when there is nothing.
#pragma once

#include <memory>

#include "relacy_search.h"
#include "sync/mpsc_queue.h"
#include "sync/parker.h"

namespace cllm {

/// Has a planted bug: the flag is set after the last look, so a message in between wakes nobody.
template <class Atomics>
class LateParker {
 public:
  template <class Ready>
  void park_unless(Ready&& ready) {
    if (ready()) return;
    state_.exchange(1, std::memory_order_acq_rel);
    Atomics::wait(state_, 1);
    state_.exchange(0, std::memory_order_acq_rel);
  }
  void wake() {
    if (state_.exchange(0, std::memory_order_acq_rel) == 1) Atomics::wake_one(state_);
  }

 private:
  typename Atomics::template Atomic<std::uint32_t> state_{0};
};

/// Producers 0..n-1 push `kMessages` each and wake; the thread after them takes all. No message is
/// lost, doubled or out of its producer's order, and no thread sleeps forever.
template <int kProducers, int kMessages, class Atomics, template <class> class Parker>
struct MailboxModel
    : rl::test_suite<MailboxModel<kProducers, kMessages, Atomics, Parker>, kProducers + 1> {
  static constexpr std::size_t kCapacity = 4;  // fewer than are sent, so cells are used again

  void thread(unsigned self) {
    if (self < kProducers) {
      for (std::uint32_t n = 0; n < kMessages; ++n) {
        state->queue.push(self * kMessages + n);
        state->parker.wake();
      }
      return;
    }
    std::uint32_t next[kProducers] = {};
    for (int taken = 0; taken < kProducers * kMessages;) {
      std::uint32_t item;
      if (!state->queue.pop(item)) {
        state->parker.park_unless([this] { return !state->queue.empty(); });
        continue;
      }
      ++taken;
      const std::uint32_t producer = item / kMessages;
      RL_ASSERT(producer < kProducers);
      RL_ASSERT(item % kMessages == next[producer]);
      ++next[producer];
    }
  }

  struct State {
    MpscQueue<std::uint32_t, Atomics> queue{kCapacity};
    Parker<Atomics> parker;
  };
  std::unique_ptr<State> state = std::make_unique<State>();  // aligned, unlike the checker's
};

template <int kProducers, int kMessages, Weaken kWeaken = Weaken::kNothing,
          template <class> class Sleeper = Parker, bool kEarlyWakes = true>
using Mailboxes = MailboxModel<kProducers, kMessages, RelacyAtomics<kWeaken, kEarlyWakes>, Sleeper>;

}  // namespace cllm
