// The checkpoints of a run: which are complete, which is the newest, which old ones may go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// A checkpoint that can be resumed from.
struct FoundCheckpoint {
  std::string folder;
  std::int64_t step = 0;  ///< updates done, as its trainer_state.json says
};

/// A folder that looks like a checkpoint and is none.
struct UnusableCheckpoint {
  std::string folder;
  std::string why;
};

/// "step-00000500"
std::string checkpoint_name(std::int64_t step);

/// Every checkpoint of the run folder `run` whose manifest and trainer state can be read, newest
/// first: checkpoints/step-*, final, and a checkpoints/latest that is a folder (as in a run that
/// was copied with links followed). The step comes from the state: what `latest` is or names plays
/// no part. Of one step, final comes first. Others are told of in `unusable`. The files of weights
/// are not read; reading a checkpoint verifies them.
std::vector<FoundCheckpoint> find_checkpoints(const std::string& run,
                                              std::vector<UnusableCheckpoint>* unusable = nullptr);

/// The folder that a reader of `run` wants: the newest of find_checkpoints, "" when there is none.
std::string newest_model_folder(const std::string& run);

/// Points `checkpoints`/latest (a relative link) at the folder `name` in it, in one step. People
/// follow this link; nothing of ours needs it, so a failure is a warning: returns "" or its text.
/// Where a file system has no symbolic links there is no `latest`, and no warning.
/// A `latest` that is a copy of a checkpoint (of a run that was copied with links followed) gets
/// the name of its step, or goes when that name is there.
std::string update_latest_link(const std::string& checkpoints, const std::string& name);

/// The same for checkpoints/best; without such a folder nothing happens.
std::string update_best_link(const std::string& checkpoints, const std::string& name);

/// Keeps a checkpoint under a name by which no resumed run finds it: "aside-" before its own.
/// Throws Error.
void set_checkpoint_aside(const std::string& folder);

struct PruneResult {
  int removed = 0;
  std::vector<std::string> warnings;  ///< of what should have gone and could not
};

/// Removes old step-* folders: of those before the step `saved`, the newest `keep` (>= 0) stay.
/// The checkpoint of that step, all that are ahead of it, and the names in `protect` stay whatever
/// their number. What cannot be removed is a warning and is tried again by the next call. Throws
/// nothing.
PruneResult prune_checkpoints(const std::string& checkpoints, std::int64_t keep,
                              const std::vector<std::string>& protect, std::int64_t saved);

}  // namespace cllm
