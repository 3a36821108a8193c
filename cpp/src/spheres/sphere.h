// These classes decide what each kind of sphere does with a message: state in, messages out, with
// no thread and no clock. The tree's threads and the tests' deterministic scheduler run the same
// source.
#pragma once

#include <vector>

#include "spheres/message.h"
#include "spheres/stage.h"

namespace cllm {

/// Holds a message and the sphere it goes to.
struct Outgoing {
  std::int32_t to;
  Message message;
};
using Outbox = std::vector<Outgoing>;

/// Names a child and the first worker at or below it; the child takes part when that worker does.
struct ChildSphere {
  int id;
  int first_worker;
};

/// Hands Work to the children of one sphere, to each at most one at a time. A child that has not
/// said Idle yet gets the newest Work when it does; older Work lapses. This bounds every mailbox.
class ChildLinks {
 public:
  ChildLinks(int self, const std::vector<ChildSphere>& children);

  /// Sends Work to the children that have a worker below them who takes part in the stage.
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

/// An inner sphere passes Work down and Done up, and passes Stop to every child. It answers Work
/// with Idle at once, because its children have links of their own.
class ControlLogic {
 public:
  ControlLogic(int self, int parent, const std::vector<ChildSphere>& children);

  /// Returns false when the sphere must end, once the messages in `out` have been sent.
  bool handle(const Message& message, Outbox& out);

 private:
  int self_;
  int parent_;
  ChildLinks links_;
};

/// The root opens a stage, asks the conductor at every Done, and tells all spheres to stop. Where
/// there is nothing to coordinate (TreePlan::root_computes), it runs the tiles itself and sends
/// nothing.
class RootLogic {
 public:
  explicit RootLogic(const std::vector<ChildSphere>& children) : links_(0, children) {}

  /// Opens the jobs that can start at once and sends Work to the first `workers`; 0: the root
  /// computes.
  void start(Stage& stage, Conductor& conductor, int workers, Outbox& out);
  /// Says whether in this run the root computes and no worker does.
  bool is_alone() const noexcept { return stage_->workers() == 0; }
  /// Returns true when the stage is complete.
  bool handle(const Message& message, Outbox& out);
  void stop(Outbox& out) const { links_.send_stop(out); }

 private:
  ChildLinks links_;
  Stage* stage_ = nullptr;
  Conductor* conductor_ = nullptr;
};

/// A worker decides which tile it runs next, when it has nothing to do, and what it reports.
class WorkerLogic {
 public:
  WorkerLogic(int self, int parent, int worker) : self_(self), parent_(parent), worker_(worker) {}

  enum class Move {
    kReceive,  ///< wait for a message
    kRun,      ///< run claim(), then say ran()
    kWait,     ///< nothing to claim now: look again, or fall_asleep()
    kEnd,
  };

  /// Takes a Work or a Stop.
  void handle(const Message& message) noexcept;
  /// Returns what to do now. With `message_waits` the worker leaves the stage to receive the
  /// message.
  Move next(bool message_waits, Outbox& out);
  const TileClaim& claim() const noexcept { return claim_; }
  /// Reports claim() as run, whether it was computed or not.
  void ran(Outbox& out);

  /// Announces a sleep and looks once more. True: call wait(observed()) on the stage's event.
  /// False: there is something to do.
  bool fall_asleep() noexcept;
  std::uint32_t observed() const noexcept { return observed_; }

  Stage* stage() const noexcept { return stage_; }

 private:
  /// The stage may be in a later run by now, with fewer workers than the run of the last Work.
  bool takes_part() const noexcept { return worker_ < stage_->workers(); }

  int self_, parent_, worker_;
  Stage* stage_ = nullptr;
  bool ended_ = false;
  int job_ = -1;  // where the last tile was
  TileClaim claim_;
  std::uint32_t observed_ = 0;
};

}  // namespace cllm
