#include "train/checkpoint_writer.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "checkpoint/checkpoint_set.h"

namespace cllm {

CheckpointWriter::CheckpointWriter(const ModelState& state, bool snapshot)
    : state_(state), copy_(snapshot ? 3 * state.parameters.size() : 0) {}

CheckpointWriter::~CheckpointWriter() {
  if (!thread_.joinable()) return;
  if (getpid() == owner_) {
    thread_.join();
  } else {
    thread_.detach();  // fork copies the object, not the thread
  }
}

void CheckpointWriter::start(CheckpointJob job) {
  job_ = std::move(job);
  done_.store(false, std::memory_order_relaxed);
  const std::size_t size = state_.parameters.size();
  const float* const from[] = {state_.parameters.data(), state_.first_moment.data(),
                               state_.second_moment.data()};
  if (copy_.size() == 0) return carry_out(from[0], from[1], from[2]);
  float* const to = copy_.data();
  for (std::size_t i = 0; i < 3; ++i) std::copy_n(from[i], size, to + i * size);
  owner_ = getpid();
  try {
    thread_ = std::thread([this, to, size] { carry_out(to, to + size, to + 2 * size); });
  } catch (const std::system_error&) {  // no thread to be had: the step waits
    carry_out(to, to + size, to + 2 * size);
  }
}

void CheckpointWriter::carry_out(const float* parameters, const float* first,
                                 const float* second) noexcept {
  const std::string name = checkpoint_name(job_->state.step);
  result_ = {job_->checkpoints + "/" + name, job_->state.step, "", {}};
  try {
    write_checkpoint(result_.folder, job_->state, state_.layout, parameters, first, second,
                     job_->extra);
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
