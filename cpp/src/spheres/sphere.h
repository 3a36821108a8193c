// What each kind of sphere does with a message: state in, messages out, no thread and no clock.
#pragma once

#include <vector>

#include "spheres/message.h"

namespace cllm {

/// A message and where it goes.
struct Outgoing {
  std::int32_t to;
  Message message;
};
using Outbox = std::vector<Outgoing>;

/// Hands Work to the children of one sphere, at most one at a time to each: a child that has not
/// said Idle yet gets the newest Work when it does, older ones lapse. This bounds every mailbox.
class ChildLinks {
 public:
  /// The children that are to work: those with an active worker below them.
  ChildLinks(int self, const std::vector<int>& active_children);

  void send_work(Stage* stage, Outbox& out);
  void on_idle(std::int32_t child, Outbox& out);

 private:
  struct Link {
    int child;
    bool busy;
    Stage* pending;
  };
  int self_;
  std::vector<Link> links_;
};

/// An inner sphere: passes Work down, Done up, answers Work with Idle at once (its children have
/// links of their own), and passes Stop to every child.
class ControlLogic {
 public:
  ControlLogic(int self, int parent, std::vector<int> children,
               const std::vector<int>& active_children);

  /// Returns false when the sphere is to end, after what is in `out` has been sent.
  bool handle(const Message& message, Outbox& out);

 private:
  int self_;
  int parent_;
  std::vector<int> children_;
  ChildLinks links_;
};

}  // namespace cllm
