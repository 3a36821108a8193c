// What a step of a configuration would be, without any data: pieces, tree, memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cllm/model_config.h"
#include "cllm/train_config.h"

namespace cllm {

struct StepPlan {
  ModelConfig model;
  std::int64_t parameters = 0;
  std::int64_t batch = 0;          ///< sequences in a step
  std::int64_t sequence = 0;       ///< tokens in a sequence
  std::int64_t shards = 0;         ///< S
  std::int64_t positions = 0;      ///< K
  std::int64_t largest_shard = 0;  ///< sequences
  std::int64_t threads = 0;        ///< spheres
  std::int64_t workers = 0;
  std::int64_t active_workers = 0;  ///< on the cores that this process may use
  // Bytes.
  std::size_t parameter_memory = 0;
  std::size_t moment_memory = 0;
  std::size_t activation_memory = 0;  ///< with the gradients
  std::size_t worker_memory = 0;

  std::size_t memory() const noexcept {
    return parameter_memory + moment_memory + activation_memory + worker_memory;
  }
};

/// Looks at no file: a `seq` of auto is 64 tokens, a `vocab` of auto 257. Throws InputError for a
/// configuration that cannot be.
StepPlan plan_step(const TrainConfig& config);

}  // namespace cllm
