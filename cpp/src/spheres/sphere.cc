#include "spheres/sphere.h"

#include <utility>

namespace cllm {

ChildLinks::ChildLinks(int self, const std::vector<ChildSphere>& children) : self_(self) {
  for (const ChildSphere& child : children) links_.push_back({child, false, nullptr});
}

void ChildLinks::send(Link& link, Stage* stage, Outbox& out) const {
  link.busy = true;
  out.push_back({link.child.id, {MessageKind::kWork, self_, stage, -1}});
}

void ChildLinks::send_work(Stage* stage, Outbox& out) {
  for (Link& link : links_) {
    const bool takes_part = link.child.first_worker < stage->workers();
    if (link.busy) {
      link.pending = takes_part ? stage : nullptr;
    } else if (takes_part) {
      send(link, stage, out);
    }
  }
}

void ChildLinks::on_idle(std::int32_t child, Outbox& out) {
  for (Link& link : links_) {
    if (link.child.id != child) continue;
    link.busy = false;
    Stage* stage = std::exchange(link.pending, nullptr);
    if (stage != nullptr) send(link, stage, out);
  }
}

void ChildLinks::send_stop(Outbox& out) const {
  for (const Link& link : links_) {
    out.push_back({link.child.id, {MessageKind::kStop, self_, nullptr, -1}});
  }
}

ControlLogic::ControlLogic(int self, int parent, const std::vector<ChildSphere>& children)
    : self_(self), parent_(parent), links_(self, children) {}

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
      links_.send_stop(out);
      return false;
  }
  return true;
}

void RootLogic::start(Stage& stage, Conductor& conductor, int workers, Outbox& out) {
  stage_ = &stage;
  conductor_ = &conductor;
  stage.reset(workers);
  conductor.begin(stage);
  links_.send_work(&stage, out);
}

bool RootLogic::handle(const Message& message, Outbox& out) {
  if (message.kind == MessageKind::kDone) return conductor_->on_done(*stage_, message.job);
  if (message.kind == MessageKind::kIdle) links_.on_idle(message.from, out);
  return false;
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
  if (!message_waits && takes_part()) {
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
  if (stage_->outlook() != Stage::Outlook::kNothing && takes_part()) {
    claim_ = stage_->claim(worker_, job_);
    if (!claim_ && stage_->outlook() != Stage::Outlook::kNothing) return true;
  }
  stage_->event().cancel();
  return false;
}

}  // namespace cllm
