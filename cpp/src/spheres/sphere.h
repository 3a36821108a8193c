// What each kind of sphere does with a message: state in, messages out, no thread and no clock. The
// threads of the tree and the deterministic scheduler of the tests run the same source.
#pragma once

#include <vector>

#include "spheres/message.h"
#include "spheres/stage.h"

namespace cllm {

/// A message and where it goes.
struct Outgoing {
  std::int32_t to;
  Message message;
};
using Outbox = std::vector<Outgoing>;

/// A child and the first worker at or below it: it takes part when that one does.
struct ChildSphere {
  int id;
  int first_worker;
};

/// Hands Work to the children of one sphere, at most one at a time to each: a child that has not
/// said Idle yet gets the newest Work when it does, older ones lapse. This bounds every mailbox.
class ChildLinks {
 public:
  ChildLinks(int self, const std::vector<ChildSphere>& children);

  /// To the children with a worker below them that takes part in the stage.
  void send_work(Stage* stage, Outbox& out);
  void on_idle(std::int32_t child, Outbox& out);
  void send_stop(Outbox& out) const;

 private:
  struct Link {
    ChildSphere child;
    bool busy;
    Stage* pending;
  };
  void send(Link& link, Stage* stage, Outbox& out) const;

  int self_;
  std::vector<Link> links_;
};

/// An inner sphere: passes Work down, Done up, answers Work with Idle at once (its children have
/// links of their own), and passes Stop to every child.
class ControlLogic {
 public:
  ControlLogic(int self, int parent, const std::vector<ChildSphere>& children);

  /// Returns false when the sphere is to end, after what is in `out` has been sent.
  bool handle(const Message& message, Outbox& out);

 private:
  int self_;
  int parent_;
  ChildLinks links_;
};

/// The root: opens a stage, asks the conductor at every Done, and tells all to stop. Where there is
/// nothing to coordinate (TreePlan::root_computes) it runs the tiles, and no sphere is sent
/// anything.
class RootLogic {
 public:
  explicit RootLogic(const std::vector<ChildSphere>& children) : links_(0, children) {}

  /// Opens what can start at once and sends Work to the first `workers`; 0: the root computes.
  void start(Stage& stage, Conductor& conductor, int workers, Outbox& out);
  /// Whether the root computes in this run, and no worker.
  bool is_alone() const noexcept { return stage_->workers() == 0; }
  /// Returns true when the stage is complete.
  bool handle(const Message& message, Outbox& out);
  void stop(Outbox& out) const { links_.send_stop(out); }

 private:
  ChildLinks links_;
  Stage* stage_ = nullptr;
  Conductor* conductor_ = nullptr;
};

/// A worker: which tile it runs next, when it has nothing to do, what it says.
class WorkerLogic {
 public:
  WorkerLogic(int self, int parent, int worker) : self_(self), parent_(parent), worker_(worker) {}

  enum class Move {
    kReceive,  ///< wait for a message
    kRun,      ///< run claim(), then say ran()
    kWait,     ///< nothing to claim now: look again, or fall_asleep()
    kEnd,
  };

  /// Work or Stop.
  void handle(const Message& message) noexcept;
  /// What to do now; `message_waits`: leaves the stage for it.
  Move next(bool message_waits, Outbox& out);
  const TileClaim& claim() const noexcept { return claim_; }
  /// Reports claim(), whether it was computed or not.
  void ran(Outbox& out);

  /// Announces a sleep and looks once more. True: wait(observed()) on the stage's event. False:
  /// there is something to do.
  bool fall_asleep() noexcept;
  std::uint32_t observed() const noexcept { return observed_; }

  Stage* stage() const noexcept { return stage_; }

 private:
  /// The run may be another one by now than that it was sent Work for, with fewer workers.
  bool takes_part() const noexcept { return worker_ < stage_->workers(); }

  int self_, parent_, worker_;
  Stage* stage_ = nullptr;
  bool ended_ = false;
  int job_ = -1;  // where the last tile was
  TileClaim claim_;
  std::uint32_t observed_ = 0;
};

}  // namespace cllm
