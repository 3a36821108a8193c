// The engine without threads: a scheduler says which sphere makes its next move, everything else is
// the engine's own: controls, links, stages, jobs.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "cllm/tree_plan.h"
#include "spheres/sphere.h"
#include "tagged_step.h"

namespace cllm {

/// One life of a tree: some runs of a step, then Stop.
class SphereSchedule {
 public:
  SphereSchedule(const TreePlan& plan, TaggedStep::Shape shape, int runs, Bug bug)
      : plan_(plan), bug_(bug), runs_(runs), spheres_(plan.spheres.size()) {
    std::vector<int> subtrees;
    for (std::size_t w = 0; w < plan.workers.size(); ++w) {
      const auto id = static_cast<std::size_t>(plan.workers[w]);
      spheres_[id].worker = static_cast<int>(w);
      subtrees.push_back(plan.spheres[id].subtree);
    }
    shape.owners = plan.subtrees;
    step_ = std::make_unique<TaggedStep>(shape, subtrees, bug);
    for (const SpherePlan& s : plan.spheres) {
      if (s.role != SphereRole::kControl) continue;
      sphere(s.id).control =
          std::make_unique<ControlLogic>(s.id, s.parent, children(s.id), children(s.id));
    }
    root_links_ = std::make_unique<ChildLinks>(0, children(0));
    start_run();
  }

  TaggedStep& step() { return *step_; }
  int size() const { return static_cast<int>(spheres_.size()); }
  bool failed() const { return failed_; }

  /// Whether the sphere has a move: a message, a tile, or the word it slept on has changed.
  bool can_move(int id) const {
    const Sphere& s = spheres_[static_cast<std::size_t>(id)];
    if (s.ended) return false;
    if (s.parked) return !step_->stage().still(s.wait);
    return s.working || !s.mailbox.empty();
  }

  /// The next move of one sphere. REQUIRES: can_move(id).
  void move(int id) {
    ++moves_;
    Sphere& s = sphere(id);
    if (s.working) return work(id);
    const Message message = s.mailbox.front();
    s.mailbox.pop_front();
    if (id == 0) return root(message);
    if (s.control) {
      s.ended = !s.control->handle(message, out_);
      if (bug_ == Bug::kStopLost && message.kind == MessageKind::kStop) out_.pop_back();
      return send();
    }
    check_that(message.kind == MessageKind::kStop || message.kind == MessageKind::kWork,
               "a worker was sent what it does not know");
    s.ended = message.kind == MessageKind::kStop;
    s.working = !s.ended;
    s.job = -1;
  }

  /// Nobody can move: this must be the end.
  void check_end() const {
    check_that(ended_runs_ == runs_ || failed_, "the runs do not end: everybody waits");
    for (const Sphere& s : spheres_) check_that(s.ended, "a sphere was not stopped");
  }
  std::uint64_t moves() const { return moves_; }

 private:
  struct Sphere {
    int worker = -1;
    std::unique_ptr<ControlLogic> control;
    std::deque<Message> mailbox;
    bool working = false, parked = false, ended = false;
    int job = -1;
    TileClaim claim;
    Stage::Wait wait;
  };

  Sphere& sphere(int id) { return spheres_[static_cast<std::size_t>(id)]; }
  std::vector<int> children(int id) const {
    const SpherePlan& s = plan_.spheres[static_cast<std::size_t>(id)];
    std::vector<int> ids;
    for (int c = s.first_child; c < s.first_child + s.children; ++c) ids.push_back(c);
    return ids;
  }

  void send() {
    for (const Outgoing& o : out_) {
      if (bug_ == Bug::kLostDone && o.message.kind == MessageKind::kDone && ++dones_ == 2) continue;
      sphere(o.to).mailbox.push_back(o.message);
    }
    out_.clear();
  }

  void start_run() {
    step_->stage().reset();
    step_->begin(step_->stage());
    root_links_->send_work(&step_->stage(), out_);
    send();
  }

  void stop_all() {
    sphere(0).ended = true;
    for (int child : children(0)) out_.push_back({child, {MessageKind::kStop, 0, nullptr, -1}});
    send();
  }

  void root(const Message& message) {
    if (failed_) {  // nothing opens any more; the root helps to finish what is open
      step_->stage().abandon();
      sphere(0).working = true;
    } else if (message.kind == MessageKind::kIdle) {
      root_links_->on_idle(message.from, out_);
      send();
    } else if (step_->on_done(step_->stage(), message.job)) {
      check_that(step_->stage().finished(), "a run was complete before its tiles");
      if (++ended_runs_ < runs_) {
        start_run();
      } else {
        stop_all();
      }
    }
  }

  // One move of a worker on a stage: run the tile in hand, or look for one, or fall asleep.
  void work(int id) {
    Sphere& s = sphere(id);
    Stage& stage = step_->stage();
    s.parked = false;
    if (s.claim) {
      run_claim(id);
      return;
    }
    if (id > 0 && !s.mailbox.empty()) return leave(id);
    s.claim = stage.claim(id == 0 ? 0 : s.worker, s.job);
    if (s.claim) {
      s.job = s.claim.job;
      return;
    }
    s.wait = stage.wait_target(id == 0 ? 0 : s.worker, s.job);
    if (s.wait.job < 0) return leave(id);
    s.parked = true;
  }

  void run_claim(int id) {
    Sphere& s = sphere(id);
    const TileClaim claim = s.claim;
    const bool again = bug_ == Bug::kDoubleClaim && ++claims_ == 2;
    if (!failed_) {
      try {
        step_->run_tile(s.worker, claim);
        if (again) step_->run_tile(s.worker, claim);
      } catch (const std::runtime_error&) {  // what a tile throws; not a violation
        failed_ = true;
      }
    }
    s.claim = {};
    if (step_->stage().finish(claim)) {
      step_->on_finished(claim.job);
      const int parent = plan_.spheres[static_cast<std::size_t>(id)].parent;
      out_.push_back(
          {parent < 0 ? 0 : parent, {MessageKind::kDone, id, &step_->stage(), claim.job}});
      send();
    }
  }

  void leave(int id) {
    sphere(id).working = false;
    if (id == 0) {
      check_that(step_->stage().finished(), "the root left a stage that is not finished");
      return stop_all();
    }
    const int parent = plan_.spheres[static_cast<std::size_t>(id)].parent;
    out_.push_back({parent, {MessageKind::kIdle, id, nullptr, -1}});
    send();
  }

  const TreePlan& plan_;
  const Bug bug_;
  const int runs_;
  std::vector<Sphere> spheres_;
  std::unique_ptr<TaggedStep> step_;
  std::unique_ptr<ChildLinks> root_links_;
  Outbox out_;
  bool failed_ = false;
  int ended_runs_ = 0, dones_ = 0, claims_ = 0;
  std::uint64_t moves_ = 0;
};

}  // namespace cllm
