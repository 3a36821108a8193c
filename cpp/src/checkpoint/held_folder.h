// A living run may replace or remove a folder at any moment while it is read.
#pragma once

#include <functional>
#include <string>

#include "base/file_descriptor.h"
#include "base/folders.h"

namespace cllm {

/// Holds a folder open, so that paths below path() lead into it whatever becomes of its name.
/// Thread safety: immutable after construction.
class HeldFolder {
 public:
  /// Throws InputError when there is no such folder.
  explicit HeldFolder(const std::string& name);

  /// Returns the name as it was given.
  const std::string& name() const noexcept { return name_; }
  /// Returns "/proc/self/fd/N"; the name itself where there is no /proc.
  const std::string& path() const noexcept { return path_; }
  /// Says whether the name still leads here. A run gives a folder another name before it removes or
  /// replaces it, so what was read while this holds was read whole.
  bool in_place() const noexcept;

 private:
  std::string name_;
  FileDescriptor folder_;
  std::string path_;
  FileIdentity identity_;
};

/// Calls `use` with the folder that `find` names, held open. When the folder was replaced
/// meanwhile, it starts over with what `find` names then. So a result comes from one whole folder,
/// and a folder that is removed under the reader is not taken for a damaged one. Errors name the
/// folder as `find` did. Throws what both throw, and Error when the folder keeps being exchanged.
void read_held_folder(const std::function<std::string()>& find,
                      const std::function<void(const HeldFolder& folder)>& use);

}  // namespace cllm
