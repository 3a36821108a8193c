// The checkpoints of a run: which one is the latest, and which old ones may go.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// "step-00000500"
std::string checkpoint_name(std::int64_t step);

/// Points `checkpoints`/latest (a relative link) at the folder `name` in it, in one step.
/// REQUIRES: that folder is complete: the link is what a resumed run trusts.
void update_latest_link(const std::string& checkpoints, const std::string& name);

/// Removes the oldest step-* folders but for `keep` (>= 0) beside the one that latest names, which
/// stays whatever its age. Returns the number removed.
int prune_checkpoints(const std::string& checkpoints, std::int64_t keep);

}  // namespace cllm
