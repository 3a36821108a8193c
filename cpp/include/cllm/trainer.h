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
#include "cllm/train_observer.h"

namespace cllm {

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
