// A run reports steps, evaluations, spheres and groups to an observer.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// Reports one optimizer update; it is one line of metrics.jsonl.
struct StepReport {
  std::int64_t step = 0;            ///< updates done, counting this one
  double epoch = 0;                 ///< passes over the training tokens so far
  std::int64_t tokens = 0;          ///< tokens trained on so far
  std::int64_t trained_tokens = 0;  ///< targets of the step batch that are learned from
  double loss = 0;                  ///< mean cross-entropy of these, nats a token; NaN without one
  double gradient_norm = 0;         ///< global, before clipping
  double learning_rate = 0;
  double milliseconds = 0;  ///< wall time of the step
  double tokens_per_second = 0;
  double gflops = 0;         ///< 6 P' + 6 L C T operations a token over the wall time
  double mfu = 0;            ///< gflops over the peak of the active workers, which is measured at
                             ///< start and raised to the best step; 0..1
  bool skipped = false;      ///< the update was not applied: loss or norm was not finite, or there
                             ///< was no target to learn from
  bool late = false;         ///< the workers waited for data: a step batch was not ready in time
  std::int64_t workers = 0;  ///< workers that were to compute; auto tries several counts at first
};

struct EvaluationReport {
  std::int64_t step = 0;
  double validation_loss = 0;         ///< mean over val_tokens, nats a token
  double bits_per_byte = 0;           ///< 0 where the text's length is unknown
  std::int64_t val_tokens = 0;        ///< predicted: the same ones in each evaluation of a run
  std::int64_t val_tokens_total = 0;  ///< that the validation part has to predict
};

/// Reports a call of Trainer::run that reached the last step, with the seconds of its phases.
struct RunReport {
  std::int64_t step = 0;        ///< updates done
  double validation_loss = 0;   ///< of the last evaluation in this call
  double bits_per_byte = 0;     ///< likewise; 0 where unknown
  bool evaluated = false;       ///< validation_loss has a meaning
  std::string model;            ///< the model's folder; "" when the run has none
  std::string best_model;       ///< that of the lowest loss, where --keep-best kept another one
  std::int64_t best_step = -1;  ///< of best_model
  double best_loss = 0;         ///< its validation loss
  double starting_seconds = 0;  ///< making the trainer, opening the run folder
  double training_seconds = 0;  ///< steps, their logs and the observer's time between them
  double validation_seconds = 0;
  double saving_seconds = 0;  ///< for which no step was made
};

/// Reports one sphere; it is one line of spheres.jsonl. Times are in seconds, over training steps
/// only. While only one of several workers is active the root computes in its place, and the tiles
/// count as the root's.
struct SphereReport {
  int id = 0;
  int level = 0;
  std::string role;  ///< "root", "control", "worker"; a single sphere is "root+worker"
  int parent = -1;
  bool active = false;  ///< a worker that was given work in training steps
  double cpu_seconds = 0;
  double busy_seconds = 0;    ///< inside tiles
  double parked_seconds = 0;  ///< asleep in the kernel
  double wall_seconds = 0;    ///< of the steps that the other times cover
  std::int64_t tiles = 0;
  std::int64_t messages_in = 0;
  std::int64_t messages_out = 0;
  std::int64_t queue_high_water = 0;
};

/// Reports the tokens of one symmetry group in the steps so far; it is one line of groups.jsonl.
struct GroupReport {
  std::int64_t group = 0;
  std::int64_t position = 0;   ///< where routing by symmetry sends its sequences
  std::int64_t sequences = 0;  ///< in which it has most tokens; of equals the lowest counts
  std::int64_t tokens = 0;     ///< of the group, in any sequence
  std::int64_t moved = 0;      ///< its sequences that went elsewhere, so that positions stay equal
};

/// Reports the tokens of some neighbouring rings of the lattice in the steps so far; it is one line
/// of rings.jsonl. The lowest 16 rings have one report each; above, each half of a doubling has one
/// (rings 16 to 23, 24 to 31, 32 to 47, ...), because a vocabulary may have millions of rings. With
/// ids by frequency, these are frequency bands.
struct RingReport {
  std::int64_t ring = 0;    ///< the lowest one
  std::int64_t rings = 1;   ///< how many
  std::int64_t first = 0;   ///< the first token of the lowest one
  std::int64_t tokens = 0;  ///< of all of them
  std::int64_t moved = 0;   ///< in sequences that went elsewhere, so that positions stay equal
};

/// Hears of a run, on the calling thread, between steps.
struct TrainObserver {
  virtual ~TrainObserver() = default;
  virtual void on_start(const std::string& summary) { (void)summary; }  ///< several lines
  virtual void on_note(const std::string& note) { (void)note; }         ///< something said once
  /// Hears what a run has chosen or how it ends: something said once, which is no cause for
  /// concern.
  virtual void on_news(const std::string& news) { on_note(news); }
  virtual void on_step(const StepReport&) {}
  virtual void on_evaluation(const EvaluationReport&) {}
  virtual void on_checkpoint(const std::string& folder) { (void)folder; }
  virtual void on_end(const RunReport&) {}
  /// Is asked after each step and between rounds of an evaluation; true requests a stop.
  virtual bool wants_stop() { return false; }
};

}  // namespace cllm
