// One training run: data, model, tree of spheres, optimizer and checkpoints, driven step by step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cllm/model_config.h"
#include "cllm/tensor.h"
#include "cllm/train_config.h"

namespace cllm {

/// What one optimizer update reports; one line of metrics.jsonl.
struct StepReport {
  std::int64_t step = 0;     ///< updates done, counting this one
  double epoch = 0;          ///< passes over the training tokens so far
  std::int64_t tokens = 0;   ///< tokens trained on so far
  double loss = 0;           ///< mean cross-entropy of the step batch, nats a token
  double gradient_norm = 0;  ///< global, before clipping
  double learning_rate = 0;
  double milliseconds = 0;  ///< wall time of the step
  double tokens_per_second = 0;
  double gflops = 0;         ///< 6 P' + 6 L C T operations a token over the wall time
  double mfu = 0;            ///< gflops over the peak of the active workers, measured at start and
                             ///< raised to the best step; 0..1
  bool skipped = false;      ///< the update was not applied: loss or norm was not finite
  bool late = false;         ///< the workers waited for data: a batch was not laid out in time
  std::int64_t workers = 0;  ///< that were to compute in it: auto tries several counts at first
};

struct EvaluationReport {
  std::int64_t step = 0;
  double validation_loss = 0;  ///< mean over the whole validation part, nats a token
  double bits_per_byte = 0;    ///< byte models only, else 0
};

/// One line of spheres.jsonl. Times in seconds, over training steps only. While one worker of
/// several is active the root computes in its place: the tiles are the root's.
struct SphereReport {
  int id = 0;
  int level = 0;
  std::string role;  ///< "root", "control", "worker"; a single sphere is "root+worker"
  int parent = -1;
  bool active = false;  ///< a worker that was handed work in training steps
  double cpu_seconds = 0;
  double busy_seconds = 0;    ///< inside tiles
  double parked_seconds = 0;  ///< asleep in the kernel
  double wall_seconds = 0;    ///< of the steps that the other times cover
  std::int64_t tiles = 0;
  std::int64_t messages_in = 0;
  std::int64_t messages_out = 0;
  std::int64_t queue_high_water = 0;
};

/// One line of groups.jsonl: the tokens of one symmetry group in the steps so far.
struct GroupReport {
  std::int64_t group = 0;
  std::int64_t position = 0;   ///< where routing by symmetry sends its sequences
  std::int64_t sequences = 0;  ///< those in which no group has more tokens
  std::int64_t tokens = 0;     ///< of the group, in sequences of any
  std::int64_t moved = 0;      ///< its sequences that went elsewhere, so that positions stay equal
};

/// Who is told what, on the calling thread, between steps.
struct TrainObserver {
  virtual ~TrainObserver() = default;
  virtual void on_start(const std::string& summary) { (void)summary; }  ///< several lines
  virtual void on_note(const std::string& note) { (void)note; }         ///< something said once
  virtual void on_step(const StepReport&) {}
  virtual void on_evaluation(const EvaluationReport&) {}
  virtual void on_checkpoint(const std::string& folder) { (void)folder; }
  /// Asked after each step and between rounds of an evaluation: true is a request to stop.
  virtual bool wants_stop() { return false; }
};

enum class RunOutcome { kFinished, kStopped };

/// Thread safety: one thread at a time calls it; request_stop and request_save may be called from
/// anywhere, signal handlers included, and steps_done and steps_total from any thread.
class Trainer {
 public:
  /// Reads the data, plans, makes the threads. With `config.resume` it reads the run's newest
  /// checkpoint, and every option that was not given is as the run has it. Throws InputError before
  /// anything is written.
  /// `say`, where given, is told what will take seconds before it begins.
  explicit Trainer(const TrainConfig& config,
                   const std::function<void(const std::string&)>& say = nullptr);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the last step: metrics, evaluations, checkpoints, final model. On a requested stop
  /// it saves and returns kStopped; another run() goes on. Holds the run folder locked: throws
  /// InputError when another run does. A checkpoint that cannot be written is told as a note and
  /// tried again at the next interval; the last one that cannot is an Error. Throws Error when the
  /// training diverged (skip_limit). Rethrows the first exception of any sphere.
  RunOutcome run(TrainObserver& observer);

  /// One optimizer update; for callers who drive the loop themselves.
  StepReport step();
  /// The same on the caller's inputs[B, T] and targets[B, T]; B is batch * grad_accum, T is seq.
  /// Throws InputError for another shape or a token outside the vocabulary.
  StepReport step(const TokenArray& inputs, const TokenArray& targets);
  /// Mean loss over the whole validation part; NaN when `stop`, asked now and then, said so.
  /// REQUIRES: has_validation().
  EvaluationReport evaluate(const std::function<bool()>& stop = nullptr);
  bool has_validation() const noexcept;
  /// Writes a complete model folder. With it as `config.resume`, and a new folder as `config.out`,
  /// another trainer goes on from here. Throws Error when a weight is not finite.
  void save(const std::string& folder) const;

  /// Another number of computing threads from the next step on, every one of them at work as far
  /// as there are cores; no bit of any result changes.
  /// Throws, changing nothing, when they cannot be had.
  void resize(std::int64_t workers);

  /// Asks run() to save the last complete step and return.
  void request_stop() noexcept;
  /// Asks run() to write a checkpoint after this step and go on.
  void request_save() noexcept;

  std::int64_t steps_done() const noexcept;
  std::int64_t steps_total() const noexcept;
  const ModelConfig& model() const noexcept;
  /// The configuration with every "auto" decided: what config.toml holds.
  const TrainConfig& config() const noexcept;
  /// SHA-256 in hex of the parameters as model.safetensors would hold them.
  std::string weights_hash() const;
  std::vector<SphereReport> spheres() const;
  /// By group, over the steps of this trainer.
  std::vector<GroupReport> groups() const;
  std::int64_t workers() const noexcept;
  /// Every tensor, in the order of the file. Writing to one changes the model.
  std::vector<Tensor> parameters();
  /// Likewise the gradient of the last step, before clipping; the next step overwrites it. Throws
  /// Error when there was no step since construction or resize().
  std::vector<ConstTensor> gradients() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cllm
