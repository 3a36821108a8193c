// This runs the engine without threads: a scheduler says which sphere makes the next move, and
// everything else is the engine's own: controls, links, stages, jobs.
#pragma once

#include <memory>
#include <vector>

#include "scheduled_sphere.h"
#include "tagged_step.h"

namespace cllm {

/// Plays one life of a tree: some runs of a step, then Stop.
class SphereSchedule {
 public:
  SphereSchedule(const TreePlan& plan, TaggedStep::Shape shape, int runs, Bug bug)
      : plan_(plan),
        bug_(bug),
        runs_(runs),
        spheres_(spheres_of(plan)),
        root_(children_of(plan, 0)) {
    const auto workers = static_cast<std::int64_t>(plan.workers.size());
    shape.owners = plan.owners(workers);
    step_ = std::make_unique<TaggedStep>(shape, plan.owned_runs(workers), bug);
    start_run();
  }

  TaggedStep& step() { return *step_; }
  int size() const { return static_cast<int>(spheres_.size()); }
  bool failed() const { return failed_; }

  /// Says whether the sphere has a move: a message, something to look for, or an event to wake for.
  bool can_move(int id) const {
    const Sphere& s = spheres_[static_cast<std::size_t>(id)];
    if (s.state == State::kEnded) return false;
    const bool told = id == 0 && !failed_ && !s.mailbox.empty();  // the tree's root would look
    if (s.state == State::kAsleep) return told || stage().event().notified_since(s.observed);
    return s.state != State::kReceiving || !s.mailbox.empty();
  }

  /// Makes the next move of one sphere. REQUIRES: can_move(id).
  void move(int id) {
    ++moves_;
    Sphere& s = sphere(id);
    switch (s.state) {
      case State::kReceiving:
        return receive(id);
      case State::kLooking:
        return look(id);
      case State::kRunning:
        return run(id);
      case State::kAsleep:
        stage().event().cancel();
        s.state = id == 0 && failed_ ? State::kDraining : State::kLooking;
        return;
      case State::kDraining:
        return drain(id);
      case State::kEnded:
        return;
    }
  }

  /// Checks that this is the end, because no sphere can move.
  void check_end() const {
    check_that(ended_runs_ == runs_ || failed_, "the runs do not end: everybody waits");
    for (const Sphere& s : spheres_) {
      check_that(s.state == State::kEnded, "a sphere was not stopped");
    }
  }
  std::uint64_t moves() const { return moves_; }

 private:
  using Sphere = ScheduledSphere;
  using State = Sphere::State;

  Sphere& sphere(int id) { return spheres_[static_cast<std::size_t>(id)]; }
  Stage& stage() const { return step_->stage(); }

  void send() {
    for (const Outgoing& o : out_) {
      if (o.message.kind == MessageKind::kDone && bug_ == Bug::kLostDone && ++dones_ == 2) continue;
      sphere(o.to).mailbox.push_back(o.message);
    }
    out_.clear();
  }

  void start_run() {
    const int all = static_cast<int>(plan_.workers.size());
    const int some[] = {all, (all + 1) / 2, 1};  // in turn
    const int active = some[ended_runs_ % 3];
    root_.start(stage(), *step_, plan_.root_computes(active) ? 0 : active, out_);
    send();
    sphere(0).state = root_.is_alone() ? State::kLooking : State::kReceiving;
    if (root_.is_alone()) sphere(0).worker->handle({MessageKind::kWork, 0, &stage(), -1});
  }

  void stop_all() {
    sphere(0).state = State::kEnded;
    root_.stop(out_);
    send();
  }

  void receive(int id) {
    Sphere& s = sphere(id);
    const Message message = s.mailbox.front();
    s.mailbox.pop_front();
    if (id == 0) return root(message);
    if (s.control) {
      if (!s.control->handle(message, out_)) s.state = State::kEnded;
      if (bug_ == Bug::kStopLost && message.kind == MessageKind::kStop) out_.pop_back();
      return send();
    }
    const bool known = message.kind == MessageKind::kStop || message.kind == MessageKind::kWork;
    check_that(known, "a worker was sent what it does not know");
    s.worker->handle(message);
    s.state = State::kLooking;
  }

  void root(const Message& message) {
    if (failed_) {  // nothing opens any more; the root helps to finish what is left
      stage().abandon();
      sphere(0).state = State::kDraining;
      return;
    }
    const bool complete = root_.handle(message, out_);
    send();
    if (!complete && root_.is_alone()) sphere(0).state = State::kLooking;
    if (!complete) return;
    check_that(stage().finished(), "a run was complete before its tiles");
    if (++ended_runs_ < runs_) {
      start_run();
    } else {
      stop_all();
    }
  }

  /// Does what the tree's root does: takes a tile without computing it, or waits for those of
  /// others.
  void drain(int id) {
    Sphere& s = sphere(id);
    if (const TileClaim claim = stage().claim(Stage::kRoot, -1)) {
      stage().finish(claim);
      return;
    }
    s.observed = stage().event().prepare();
    if (!stage().finished()) {
      s.state = State::kAsleep;
      return;
    }
    stage().event().cancel();
    stop_all();
  }

  void look(int id) {
    using Move = WorkerLogic::Move;
    Sphere& s = sphere(id);
    if (id == 0 && !s.mailbox.empty()) return receive(id);
    const Move move = s.worker->next(!s.mailbox.empty(), out_);
    send();
    if (move == Move::kReceive) s.state = State::kReceiving;
    if (move == Move::kRun) s.state = State::kRunning;
    if (move == Move::kEnd) s.state = State::kEnded;
    if (move != Move::kWait || !s.worker->fall_asleep()) return;
    s.observed = s.worker->observed();
    s.state = State::kAsleep;
  }

  void run(int id) {
    Sphere& s = sphere(id);
    const TileClaim claim = s.worker->claim();
    const bool again = bug_ == Bug::kDoubleClaim && ++claims_ == 2;
    check_that(failed_ || s.number < stage().workers(), "who has no part in the run has a tile");
    if (!failed_) {
      try {
        step_->run_tile(0, claim);
        if (again) step_->run_tile(0, claim);
      } catch (const std::runtime_error&) {  // tiles throw this; it is no violation
        failed_ = true;
      }
    }
    s.worker->ran(out_);
    if (!out_.empty()) step_->on_finished(claim.job);
    send();
    s.state = State::kLooking;
  }

  const TreePlan& plan_;
  const Bug bug_;
  const int runs_;
  std::vector<Sphere> spheres_;
  std::unique_ptr<TaggedStep> step_;
  RootLogic root_;
  Outbox out_;
  bool failed_ = false;
  int ended_runs_ = 0, dones_ = 0, claims_ = 0;
  std::uint64_t moves_ = 0;
};

}  // namespace cllm
