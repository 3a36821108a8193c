// Reading a folder that a living run may replace or remove at any moment.
#pragma once

#include <functional>
#include <string>

#include "base/file_descriptor.h"
#include "base/folders.h"

namespace cllm {

/// A folder held open: paths below path() lead into it whatever becomes of its name.
/// Thread safety: immutable after construction.
class HeldFolder {
 public:
  /// Throws InputError when there is no such folder.
  explicit HeldFolder(const std::string& name);

  /// As it was given.
  const std::string& name() const noexcept { return name_; }
  /// "/proc/self/fd/N"; the name itself where there is no /proc.
  const std::string& path() const noexcept { return path_; }
  /// Whether the name still leads here. A run removes or replaces a folder by giving it another
  /// name first, so that what was read while this holds was read whole.
  bool in_place() const noexcept;

 private:
  std::string name_;
  FileDescriptor folder_;
  std::string path_;
  FileIdentity identity_;
};

/// Calls `use` with the folder that `find` names, held open. When the folder went out of place
/// meanwhile, it starts over with what `find` names then: a result is of one folder, whole, and a
/// folder that is removed under the reader is no damaged one. Errors name the folder as `find` did.
/// Throws what both throw; Error when the folder is exchanged all the time.
void read_held_folder(const std::function<std::string()>& find,
                      const std::function<void(const HeldFolder& folder)>& use);

}  // namespace cllm
