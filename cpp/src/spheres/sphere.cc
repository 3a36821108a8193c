#include "spheres/sphere.h"

#include <utility>

namespace cllm {

ChildLinks::ChildLinks(int self, const std::vector<int>& active_children) : self_(self) {
  for (int child : active_children) links_.push_back({child, false, nullptr});
}

void ChildLinks::send_work(Stage* stage, Outbox& out) {
  for (Link& link : links_) {
    if (link.busy) {
      link.pending = stage;
    } else {
      link.busy = true;
      out.push_back({link.child, {MessageKind::kWork, self_, stage, -1}});
    }
  }
}

void ChildLinks::on_idle(std::int32_t child, Outbox& out) {
  for (Link& link : links_) {
    if (link.child != child) continue;
    Stage* stage = std::exchange(link.pending, nullptr);
    link.busy = stage != nullptr;
    if (stage != nullptr) out.push_back({child, {MessageKind::kWork, self_, stage, -1}});
  }
}

ControlLogic::ControlLogic(int self, int parent, std::vector<int> children,
                           const std::vector<int>& active_children)
    : self_(self), parent_(parent), children_(std::move(children)), links_(self, active_children) {}

bool ControlLogic::handle(const Message& message, Outbox& out) {
  switch (message.kind) {
    case MessageKind::kWork:
      links_.send_work(message.stage, out);
      out.push_back({parent_, {MessageKind::kIdle, self_, nullptr, -1}});
      return true;
    case MessageKind::kIdle:
      links_.on_idle(message.from, out);
      return true;
    case MessageKind::kDone:
      out.push_back({parent_, {MessageKind::kDone, self_, message.stage, message.job}});
      return true;
    case MessageKind::kStop:
      for (int child : children_) out.push_back({child, {MessageKind::kStop, self_, nullptr, -1}});
      return false;
  }
  return true;
}

}  // namespace cllm
