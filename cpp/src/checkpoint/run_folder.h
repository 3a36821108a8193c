// A run has one folder: this says where it may be made, and holds it while the run is open.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_descriptor.h"
#include "base/folders.h"
#include "checkpoint/run_lock.h"

namespace cllm {

/// Throws InputError (--out) unless a new run can be made at `path`, below a folder that can be
/// written to. There may be nothing, an empty folder, or a folder with only what a run leaves that
/// died before its first checkpoint and its first line of metrics:
///   .lock, not held; .cllm-partial-* and *.jsonl.partial, config.toml.partial;
///   metrics.jsonl, spheres.jsonl, groups.jsonl without a byte in them;
///   checkpoints/ with nothing in it but .cllm-partial-* and .latest-next;
///   config.toml beside such a checkpoints/ (alone it may be what a user wrote).
/// With `overwrite` there may also be a run that is not in use: a folder with the config.toml and
/// the checkpoints/ of one. Leaves no trace.
void check_new_run_folder(const std::string& path, bool overwrite = false);

/// Holds a run folder: from construction to destruction it belongs to this run alone (see RunLock).
/// Thread safety: one thread at a time.
class RunFolder {
 public:
  enum class Start { kNew, kResumed, kReplaced };

  /// Makes the folder, its missing parents and checkpoints/ (kNew), or opens what is there
  /// (kResumed); locks it; then removes what killed runs left half done. kReplaced does as kNew and
  /// removes the run that is there: logs, checkpoints and final/, while config.toml stays until
  /// write_config(); what else lies beside them stays too. All entries are durable. Throws
  /// InputError when the run is in use or (kNew) the folder holds another run, and then has changed
  /// nothing of that run; throws Error when the file system refuses.
  RunFolder(const std::string& path, Start start);

  /// Returns the absolute path: a change of the current folder does not move a run.
  const std::string& path() const noexcept { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }

  /// Takes a new name of the folder as its path; true when it was renamed since it was opened.
  /// Takes the lock again when only the lock file is gone. A removed folder is left as it is:
  /// false.
  bool follow();
  /// Says whether the folder was removed since it was opened.
  bool removed() const;
  /// Returns where the folder is now; "" when it was removed.
  std::string place_now() const;

  /// Replaces config.toml durably.
  void write_config(std::string_view text) const;

 private:
  void clear_leftovers() const;
  void remove_run() const;

  std::string path_;
  std::optional<RunLock> lock_;
  FileDescriptor folder_;
  FileIdentity identity_;
};

}  // namespace cllm
