// From --workers and --threads, and the cores there are, to the tree that a session is given.
#pragma once

#include <string>

#include "cllm/train_config.h"
#include "engine/session.h"

namespace cllm {

/// Sets threads, tree and allowance of a session. `auto` makes a worker for each physical core;
/// how many of them compute is then found out, as it is where there are fewer cores than workers.
/// REQUIRES: the configuration is checked.
void set_crew(SessionConfig& session, const TrainConfig& config, const Allowance& allowance);

/// "2 workers on 2 cores, pinned": how many work, where, and why not bound to it.
std::string describe_crew(const SessionConfig& session);

/// "1 of 2 workers is fastest: ...": what was settled on, and the times that led to it.
/// REQUIRES: the session has tuned.
std::string describe_choice(const Session& session);

/// How to use the cores that no worker is for; "" when there are none.
std::string idle_cores_note(const SessionConfig& session);

}  // namespace cllm
