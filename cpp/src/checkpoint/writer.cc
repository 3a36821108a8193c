#include "checkpoint/writer.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "checkpoint/checkpoint_set.h"

namespace cllm {

CheckpointWriter::CheckpointWriter(const ParameterLayout& layout, const float* trained,
                                   OptimizerRanges optimizer, bool snapshot, const float* embedding)
    : layout_(layout),
      trained_(trained),
      optimizer_(std::move(optimizer)),
      embedding_(embedding),
      copy_(snapshot ? static_cast<std::size_t>(embedded()) +
                           (1 + optimizer_.size()) *
                               static_cast<std::size_t>(layout.trainables().flat_size())
                     : 0) {}

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
  if (copy_.size() == 0) return carry_out(trained_, optimizer_, embedding_);
  float* to = copy_.data();
  const auto copied = [&to](const float* range, std::int64_t size) {
    to = std::copy_n(range, size, to);
    return to - size;
  };
  const float* const trained = copied(trained_, layout_.trainables().flat_size());
  OptimizerRanges optimizer = optimizer_;
  for (OptimizerRange<const float>& range : optimizer) {
    range.values = copied(range.values, layout_.trainables().flat_size());
  }
  const float* const embedding = copied(embedding_, embedded());
  owner_ = getpid();
  try {
    thread_ = std::thread([=] { carry_out(trained, optimizer, embedding); });
  } catch (const std::system_error&) {  // no thread is available: the step waits
    carry_out(trained, optimizer, embedding);
  }
}

void CheckpointWriter::carry_out(const float* trained, const OptimizerRanges& optimizer,
                                 const float* embedding) noexcept {
  const std::string name = checkpoint_name(job_->state.step);
  result_ = {job_->checkpoints + "/" + name, job_->state.step, "", {}};
  try {
    result_.note = write_checkpoint(result_.folder, job_->state, layout_, trained, optimizer,
                                    job_->extra, embedding);
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
