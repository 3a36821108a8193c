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

RootLogic::RootLogic(std::vector<int> children, const std::vector<int>& active_children)
    : children_(std::move(children)), links_(0, active_children) {}

void RootLogic::start(Stage& stage, Conductor& conductor, Outbox& out) {
  stage_ = &stage;
  conductor_ = &conductor;
  stage.reset();
  conductor.begin(stage);
  links_.send_work(&stage, out);
}

bool RootLogic::handle(const Message& message, Outbox& out) {
  if (message.kind == MessageKind::kDone) return conductor_->on_done(*stage_, message.job);
  if (message.kind == MessageKind::kIdle) links_.on_idle(message.from, out);
  return false;
}

void RootLogic::stop(Outbox& out) const {
  for (int child : children_) out.push_back({child, {MessageKind::kStop, 0, nullptr, -1}});
}

void WorkerLogic::handle(const Message& message) noexcept {
  ended_ = message.kind == MessageKind::kStop;
  stage_ = message.stage;
  job_ = -1;
}

WorkerLogic::Move WorkerLogic::next(bool message_waits, Outbox& out) {
  if (ended_) return Move::kEnd;
  if (stage_ == nullptr) return Move::kReceive;
  if (claim_) return Move::kRun;
  if (!message_waits) {
    claim_ = stage_->claim(worker_, job_);
    if (claim_) return Move::kRun;
    if (stage_->outlook() != Stage::Outlook::kNothing) return Move::kWait;
  }
  stage_ = nullptr;
  out.push_back({parent_, {MessageKind::kIdle, self_, nullptr, -1}});
  return Move::kReceive;
}

void WorkerLogic::ran(Outbox& out) {
  const TileClaim claim = std::exchange(claim_, {});
  job_ = claim.job;
  if (stage_->finish(claim)) {
    out.push_back({parent_, {MessageKind::kDone, self_, stage_, claim.job}});
  }
}

bool WorkerLogic::fall_asleep() noexcept {
  observed_ = stage_->event().prepare();
  claim_ = stage_->claim(worker_, job_);
  if (!claim_ && stage_->outlook() != Stage::Outlook::kNothing) return true;
  stage_->event().cancel();
  return false;
}

}  // namespace cllm
