// These functions say how much memory a session takes, before it is made.
#pragma once

#include <cstddef>

#include "engine/session_config.h"

namespace cllm {

/// Lists the bytes that a session takes, by purpose.
struct MemoryPlan {
  std::size_t parameters, moments;
  std::size_t activations_and_gradients;  ///< with the packed weights
  std::size_t workers;     ///< scratch and products of the active workers, stacks of all threads
  std::size_t evaluation;  ///< what does not fit into the workspaces of training
  std::size_t tables;      ///< step batches, the plan of a step, the lattice's neighbours
  std::size_t program;     ///< code, libraries and data of the process before the first session
  std::size_t saving;      ///< the copy that checkpoints are written from
  std::size_t total() const noexcept {
    return parameters + moments + activations_and_gradients + workers + rest();
  }
  /// Returns what a user cannot change by much.
  std::size_t rest() const noexcept { return evaluation + tables + program + saving; }
};
MemoryPlan plan_memory(const SessionConfig& config);

/// Throws InputError when the session would need more memory than there is.
void check_memory(const SessionConfig& session);

/// Says whether a copy of the state, from which checkpoints are written, fits in memory beside the
/// rest.
bool has_room_for_snapshot(SessionConfig session);

}  // namespace cllm
