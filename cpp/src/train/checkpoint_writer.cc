#include "train/checkpoint_writer.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "checkpoint/checkpoint_set.h"

namespace cllm {

CheckpointWriter::CheckpointWriter(const Session& session, bool snapshot)
    : state_(session.state()),
      names_(session.state_ranges()),
      copy_(snapshot ? state_.ranges().size() * state_.parameters.size() : 0) {}

CheckpointWriter::~CheckpointWriter() {
  if (!thread_.joinable()) return;
  if (getpid() == owner_) {
    thread_.join();
  } else {
    thread_.detach();  // fork copies the object but not the thread
  }
}

void CheckpointWriter::start(CheckpointJob job) {
  job_ = std::move(job);
  done_.store(false, std::memory_order_relaxed);
  std::vector<const float*> ranges;
  for (const AlignedBuffer<float>* range : state_.ranges()) ranges.push_back(range->data());
  if (copy_.size() == 0) return carry_out(ranges);
  const std::size_t size = state_.parameters.size();
  float* to = copy_.data();
  for (const float*& range : ranges) {
    range = std::copy_n(range, size, to) - size;
    to += size;
  }
  owner_ = getpid();
  try {
    thread_ = std::thread([this, ranges] { carry_out(ranges); });
  } catch (const std::system_error&) {  // no thread is available: the step waits
    carry_out(ranges);
  }
}

void CheckpointWriter::carry_out(const std::vector<const float*>& ranges) noexcept {
  const std::string name = checkpoint_name(job_->state.step);
  result_ = {job_->checkpoints + "/" + name, job_->state.step, "", {}};
  try {
    const std::vector<const float*> optimizer(ranges.begin() + 1, ranges.end());
    write_checkpoint(result_.folder, job_->state, state_.layout, ranges.front(),
                     optimizer_ranges(names_, optimizer), job_->extra);
    const std::string warning = update_latest_link(job_->checkpoints, name);
    result_.warnings =
        prune_checkpoints(job_->checkpoints, job_->keep, job_->protect, job_->state.step).warnings;
    if (!warning.empty()) result_.warnings.push_back(warning);
  } catch (const std::exception& error) {
    result_.failure = error.what();
  }
  done_.store(true, std::memory_order_release);
}

std::optional<CheckpointResult> CheckpointWriter::poll() {
  if (!busy() || !done_.load(std::memory_order_acquire)) return std::nullopt;
  return take();
}

std::optional<CheckpointResult> CheckpointWriter::wait() {
  if (!busy()) return std::nullopt;
  if (thread_.joinable()) thread_.join();
  return take();
}

CheckpointResult CheckpointWriter::take() {
  if (thread_.joinable()) thread_.join();
  job_.reset();
  return std::move(result_);
}

}  // namespace cllm
