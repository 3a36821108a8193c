// A step plan says what a step of a configuration would be, without data: pieces, tree, memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cllm/machine.h"
#include "cllm/model_config.h"
#include "cllm/train_config.h"

namespace cllm {

struct StepPlan {
  ModelConfig model;
  std::int64_t parameters = 0;
  std::int64_t trained = 0;        ///< numbers that a step changes: of adapters, with lora
  std::int64_t batch = 0;          ///< sequences in a step
  std::int64_t sequence = 0;       ///< tokens in a sequence
  std::int64_t shards = 0;         ///< S
  std::int64_t positions = 0;      ///< K
  std::int64_t largest_shard = 0;  ///< sequences
  std::int64_t threads = 0;        ///< spheres
  std::int64_t workers = 0;
  std::int64_t active_workers = 0;  ///< limited by the cores that this process may use
  // These are bytes.
  std::size_t parameter_memory = 0;
  std::size_t moment_memory = 0;
  std::size_t activation_memory = 0;  ///< with gradients and packed weights
  std::size_t worker_memory = 0;
  std::size_t other_memory = 0;  ///< program, tables, batches, evaluation and, where it
                                 ///< fits, the copy that checkpoints are written from

  std::size_t memory() const noexcept {
    return parameter_memory + moment_memory + activation_memory + worker_memory + other_memory;
  }
};

/// Plans without looking at files: an auto `seq` is 64 tokens, an auto `vocab` 257. Throws
/// InputError for an impossible configuration.
StepPlan plan_step(const TrainConfig& config);

/// Says what a step would cost on a machine. The step is played through with the times of its
/// kernels alone.
struct StepForecast {
  std::int64_t workers = 0;  ///< active ones
  double milliseconds = 0;   ///< of the step
  // These are milliseconds of worker time; together they are workers times those of the step.
  double product_ms = 0;  ///< inside products
  double pass_ms = 0;     ///< in attention, passes over rows, reduction and optimizer
  double waiting_ms = 0;  ///< for tiles, messages and other workers
  std::int64_t messages = 0;
  std::int64_t tiles = 0;
};

/// Predicts the step of the configuration that plan_step() plans. Throws InputError, naming
/// `where`, when the machine lacks a time that is needed.
StepForecast predict_step(const TrainConfig& config, const Machine& machine,
                          const std::string& where = "machine");

}  // namespace cllm
