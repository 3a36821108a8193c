// This file holds what the threads of a SphereTree do: controls, workers, and the root during a
// run.
#include <cstdint>
#include <exception>

#include "base/clock.h"
#include "cllm/error.h"
#include "cpu/float_mode.h"
#include "spheres/tree.h"

namespace cllm {
namespace {

// A spinning worker looks for tiles only when it is notified, so that it does not take the cache
// lines on which others count their tiles. It also looks now and then, because a phase that opened
// behind another one is not announced.
constexpr std::uint64_t kLookNs = 10000;

}  // namespace

void SphereTree::control_main(int sphere) {
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(sphere)];
  const SpherePlan& self = plan_.spheres[static_cast<std::size_t>(sphere)];
  ControlLogic logic(sphere, self.parent, children_of(sphere));
  Outbox out;
  out.reserve(static_cast<std::size_t>(self.children) + 2);
  bool running = true;
  while (running) {
    const Message message = mailbox.wait_pop({0, control_yields()});
    handle_hook(sphere);
    running = logic.handle(message, out);
    send(out);
  }
}

void SphereTree::worker_main(int sphere, int worker) {
  const FloatMode mode;
  try {
    if (options_.prepare_worker) options_.prepare_worker(worker);
  } catch (...) {
    error_.set(std::current_exception());
  }
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(sphere)];
  WorkerLogic logic(sphere, plan_.spheres[static_cast<std::size_t>(sphere)].parent, worker);
  Outbox out;
  out.reserve(2);
  std::uint64_t idle_since = 0;  // 0: not idle
  std::uint32_t looked_at = 0;   // when idle: epoch of the stage's event before the last look
  for (;;) {
    const WorkerLogic::Move move = logic.next(mailbox.has_message(), out);
    send(out);
    switch (move) {
      case WorkerLogic::Move::kEnd:
        return;
      case WorkerLogic::Move::kReceive: {
        const Message message = mailbox.wait_pop({root_spin_ns(), 0});
        if (message.kind == MessageKind::kWork) handle_hook(sphere);
        logic.handle(message);
        break;
      }
      case WorkerLogic::Move::kRun:
        idle_since = 0;
        compute(*logic.stage(), sphere, worker, logic.claim());
        logic.ran(out);
        send(out);
        break;
      case WorkerLogic::Move::kWait: {
        const std::uint64_t now = now_ns();
        EventCount<>& event = logic.stage()->event();
        if (idle_since == 0) {
          idle_since = now;
        } else {
          while (!event.notified_since(looked_at) && !mailbox.has_message() &&
                 now_ns() - now < kLookNs) {
            spin_pause();
          }
        }
        const bool soon = logic.stage()->outlook() == Stage::Outlook::kSoon;
        if (now - idle_since < (soon ? phase_spin_ns() : root_spin_ns())) {
          looked_at = event.epoch();
          break;
        }
        idle_since = 0;
        sleep(logic, sphere);
        break;
      }
    }
  }
}

void SphereTree::sleep(WorkerLogic& logic, int sphere) noexcept {
  if (!logic.fall_asleep()) return;
  const std::uint64_t start = now_ns();
  logic.stage()->event().wait(logic.observed());
  counters_[static_cast<std::size_t>(sphere)].parked_ns.add(now_ns() - start);
}

// After an error tiles are claimed and reported but not computed, so that the stage runs dry at
// once and nobody waits forever.
void SphereTree::compute(Stage& stage, int sphere, int worker, const TileClaim& claim) noexcept {
  if (error_.raised()) return;
  SphereCounters& counters = counters_[static_cast<std::size_t>(sphere)];
  try {
    if (options_.before_tile) options_.before_tile(worker, claim);
    const std::uint64_t start = now_ns();
    stage.runner().run_tile(worker, claim);
    const std::uint64_t took = now_ns() - start;
    counters.busy_ns.add(took);
    counters.tiles.add(1);
    if (options_.after_tile) options_.after_tile(worker, claim, took);
  } catch (...) {
    error_.set(std::current_exception());
  }
}

void SphereTree::run(Stage& stage, Conductor& conductor) {
  if (threads_are_elsewhere()) {
    throw Error({"this process was forked while its spheres were running", "a child process",
                 "the process that made them", "",
                 "threads are not copied: fork first, or start processes with spawn"});
  }
  error_.rethrow();
  const FloatMode mode;
  try {
    run_to_end(stage, conductor);
  } catch (...) {
    error_.set(std::current_exception());
  }
  if (error_.raised()) run_dry(stage);
  error_.rethrow();
}

void SphereTree::run_to_end(Stage& stage, Conductor& conductor) {
  if (!root_prepared_) {
    if (options_.prepare_worker) options_.prepare_worker(root_as_worker());
    root_prepared_ = true;
  }
  Mailbox& mailbox = *mailboxes_[0];
  Message message;
  bool complete = false;
  const auto handle = [&] {
    handle_hook(0);
    if (error_.raised()) return;
    complete = root_->handle(message, root_out_);
    send(root_out_);
  };
  // A sphere that said Idle after the last Done of the run before is sent Work at once, not after
  // `meanwhile`.
  while (mailbox.try_pop(message)) {
    handle();
    if (error_.raised()) return;
  }
  const int active = active_workers();
  root_->start(stage, conductor, plan_.root_computes(active) ? 0 : active, root_out_);
  send(root_out_);
  conductor.meanwhile();

  WorkerLogic worker(0, 0, Stage::kRoot);
  worker.handle({MessageKind::kWork, 0, &stage, -1});
  while (!complete) {
    if (root_->is_alone()) {
      if (worker.next(false, root_out_) == WorkerLogic::Move::kRun) {
        compute(stage, 0, root_as_worker(), worker.claim());
        worker.ran(root_out_);
      } else {
        spin_pause();  // a worker of the run before may have taken a tile of this one
      }
      send(root_out_);
      if (!mailbox.try_pop(message)) continue;
    } else {
      message = mailbox.wait_pop({root_spin_ns(), control_yields()});
    }
    handle();
    if (error_.raised()) return;
  }
}

// The root claims tiles too, so it needs no help to finish what is open. It waits only for workers
// that are inside a tile.
void SphereTree::run_dry(Stage& stage) noexcept {
  stage.abandon();
  for (;;) {
    Message message;
    while (mailboxes_[0]->try_pop(message)) {
    }
    if (const TileClaim claim = stage.claim(Stage::kRoot, -1)) {
      stage.finish(claim);
      continue;
    }
    const std::uint32_t observed = stage.event().prepare();
    if (stage.finished()) return stage.event().cancel();
    stage.event().wait(observed);
  }
}

}  // namespace cllm
