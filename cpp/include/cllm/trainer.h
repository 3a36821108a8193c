// A trainer is one training run: data, model, tree of spheres, optimizer and checkpoints, step by
// step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cllm/model_config.h"
#include "cllm/sampling.h"
#include "cllm/tensor.h"
#include "cllm/train_config.h"
#include "cllm/train_observer.h"

namespace cllm {

enum class RunOutcome { kFinished, kStopped };

/// Thread safety: one thread at a time calls it. request_stop and request_save may be called from
/// anywhere, signal handlers included; steps_done and steps_total from any thread.
class Trainer {
 public:
  /// Reads the data, plans, and makes the threads. With `config.resume` it reads the run's newest
  /// checkpoint, and every option that was not given is as in the run. Throws InputError before
  /// anything is written. `say`, if given, is told what will take seconds before it begins.
  explicit Trainer(const TrainConfig& config,
                   const std::function<void(const std::string&)>& say = nullptr);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the last step: metrics, evaluations, checkpoints, final model. On a requested stop
  /// it saves and returns kStopped; another run() continues. It holds the run folder locked and
  /// throws InputError when another run does. A checkpoint that cannot be written is reported as a
  /// note and tried again at the next interval; if the last one cannot be written, that is an
  /// Error. Throws Error when the training diverged (skip_limit). Rethrows the first exception of
  /// any sphere.
  RunOutcome run(TrainObserver& observer);

  /// Does one optimizer update, for callers who drive the loop themselves.
  StepReport step();
  /// Does the same on the caller's inputs[B, T] and targets[B, T], as Model::loss_and_gradients
  /// takes them; B is batch * grad_accum, T is seq. If no target is counted, the update is skipped.
  StepReport step(const TokenArray& inputs, const TokenArray& targets,
                  const TokenArray& first_keys = {});
  /// Returns the mean loss over eval_tokens of the validation part; NaN when `stop`, asked now and
  /// then, returned true. REQUIRES: has_validation().
  EvaluationReport evaluate(const std::function<bool()>& stop = nullptr);
  bool has_validation() const noexcept;
  /// Returns the mean loss over all tokens of other data: what TrainConfig::data can name, or data
  /// in memory. Throws InputError for data that the model cannot read.
  EvaluationReport evaluate(const std::string& path, const std::function<bool()>& stop = nullptr);
  EvaluationReport evaluate(const std::shared_ptr<const MemoryData>& data,
                            const std::function<bool()>& stop = nullptr);
  /// Continues prompt[n] with the weights as they are now, as Model::generate() does; no token ends
  /// it early. Throws InputError for an empty prompt and a token outside the vocabulary.
  void generate(const std::vector<std::int32_t>& prompt, std::int64_t count,
                const SamplingOptions& options, const std::function<bool(std::int32_t)>& on_token);
  /// Writes a complete model folder. With it as `config.resume`, and a new folder as `config.out`,
  /// another trainer continues from here. Throws Error when a weight is not finite.
  void save(const std::string& folder) const;

  /// Sets the number of computing threads from the next step on; all of them compute if there are
  /// enough cores. No bit of any result changes. Throws, changing nothing, when the threads cannot
  /// be made.
  void resize(std::int64_t workers);

  /// Asks run() to save the last complete step and return.
  void request_stop() noexcept;
  /// Says whether that was asked and not done so far; any thread may ask.
  bool stop_requested() const noexcept;
  /// Asks run() to write a checkpoint after this step and continue.
  void request_save() noexcept;

  /// Returns the learning rate of the next step.
  double learning_rate() const;
  /// Sets it for that step and all later ones; nothing: as the schedule says. Checkpoints keep it.
  /// Throws InputError for a rate below 0 or not finite.
  void set_learning_rate(std::optional<double> rate);

  /// Returns what the user should know before the first step; run() tells its observer, and news.
  /// save() adds what there is to know of the folder that it wrote.
  const std::vector<std::string>& notes() const noexcept;
  std::int64_t steps_done() const noexcept;
  std::int64_t steps_total() const noexcept;
  const ModelConfig& model() const noexcept;
  /// Says whether the model reads bytes of text, not the ids of another tokenizer.
  bool byte_tokens() const noexcept;
  /// Returns the configuration with every "auto" decided, as config.toml holds it.
  const TrainConfig& config() const noexcept;
  /// Returns the SHA-256 in hex of the parameters as model.safetensors would hold them, or of the
  /// adapters as adapter_model.safetensors would.
  std::string weights_hash() const;
  std::vector<SphereReport> spheres() const;
  /// Reports each group, over the steps of this trainer.
  std::vector<GroupReport> groups() const;
  /// Does the same for each band of rings of the lattice that had tokens; none without `lattice`.
  std::vector<RingReport> rings() const;
  std::int64_t workers() const noexcept;
  /// Returns every tensor that is trained, in the order of the file. Writing to one changes the
  /// model. With `lattice`, the token embedding is E, the one that is trained; the last tensor
  /// holds the coefficients, "lattice.w", with which the saved one is made of it.
  std::vector<Tensor> parameters();
  /// Returns the gradient of the last step in the same way, before clipping; the next step
  /// overwrites it. Throws Error when there was no step since construction or resize().
  std::vector<ConstTensor> gradients() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cllm
