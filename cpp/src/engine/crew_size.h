// These functions turn --workers, --threads and the cores there are into the tree of a session.
#pragma once

#include <string>

#include "cllm/train_config.h"
#include "engine/session.h"

namespace cllm {

/// Sets threads, tree and allowance of a session. `auto` makes one worker for each physical core.
/// The first steps then find out how many of them should compute, as they also do where there are
/// fewer cores than workers. REQUIRES: the configuration is checked.
void set_crew(SessionConfig& session, const TrainConfig& config, const Allowance& allowance);

/// Returns a text such as "2 workers on 2 cores, pinned": how many workers there are, where they
/// run, and, if they are not pinned, why.
std::string describe_crew(const SessionConfig& session);

/// Returns a text such as "using 1 of 2 workers: 164 ms a step (2 workers: 415 ms)": the number
/// that was chosen, and the times that led to it. REQUIRES: the session has tuned.
std::string describe_choice(const Session& session);

/// Says how to use the cores that have no worker; "" when there are none.
std::string idle_cores_note(const SessionConfig& session);

}  // namespace cllm
