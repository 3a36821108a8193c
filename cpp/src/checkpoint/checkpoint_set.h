// A run has checkpoints: these functions say which are complete, which is newest, and which may go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// Names a checkpoint that can be resumed from.
struct FoundCheckpoint {
  std::string folder;
  std::int64_t step = 0;  ///< updates done, according to its trainer_state.json
};

/// Names a folder that looks like a checkpoint but is not one.
struct UnusableCheckpoint {
  std::string folder;
  std::string why;
};

/// Returns a name such as "step-00000500".
std::string checkpoint_name(std::int64_t step);

/// Returns every checkpoint of the run folder `run` whose manifest and trainer state can be read,
/// newest first. It looks at checkpoints/step-*, final, and checkpoints/latest if that is a folder
/// (as in a run that was copied with links followed). The step comes from the state; what `latest`
/// is or names does not matter. Of equal steps, final comes first. Folders that cannot be used are
/// reported in `unusable`. The files of weights are not read; reading a checkpoint verifies them.
std::vector<FoundCheckpoint> find_checkpoints(const std::string& run,
                                              std::vector<UnusableCheckpoint>* unusable = nullptr);

/// Returns the folder that a reader of `run` wants: the newest of find_checkpoints, "" if none.
std::string newest_model_folder(const std::string& run);

/// Points `checkpoints`/latest (a relative link) at the folder `name` in it, in one step. People
/// follow this link, but CLLM does not need it, so a failure is a warning: returns "" or its text.
/// Where a file system has no symbolic links there is no `latest` and no warning. If `latest` is a
/// copy of a checkpoint (in a run that was copied with links followed), it is renamed to the name
/// of its step, or removed when that name is taken.
std::string update_latest_link(const std::string& checkpoints, const std::string& name);

/// Does the same for checkpoints/best; without a folder `name` nothing happens.
std::string update_best_link(const std::string& checkpoints, const std::string& name);

/// Renames a checkpoint to "aside-" and its name, so that no resumed run finds it. Throws Error.
void set_checkpoint_aside(const std::string& folder);

struct PruneResult {
  int removed = 0;
  std::vector<std::string> warnings;  ///< about what should have gone and could not
};

/// Removes old step-* folders: of those before the step `saved`, the newest `keep` (>= 0) stay. The
/// checkpoint of that step, all later ones, and the names in `protect` stay whatever their number.
/// What cannot be removed is a warning, and the next call tries again. Throws nothing.
PruneResult prune_checkpoints(const std::string& checkpoints, std::int64_t keep,
                              const std::vector<std::string>& protect, std::int64_t saved);

}  // namespace cllm
