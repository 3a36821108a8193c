// Saves in progress have working folders; these functions tell them from leftovers of killed runs.
#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace cllm {

/// This is the name of the link that is about to become checkpoints/latest.
constexpr const char* kNextLinkName = ".latest-next";

/// Makes an empty folder ".cllm-partial-*" beside `folder`, opened and locked as `*lock`. The lock
/// ends when the descriptor is closed or the process dies, however it dies. Throws Error.
std::string make_partial_folder(const std::string& folder, FileDescriptor* lock);

/// Returns a free name of that kind, for a folder that is about to be removed. Throws Error.
std::string partial_name(const std::string& folder);
/// Says whether `name` (without its folder) is of that kind.
bool is_partial_name(const std::string& name);

/// Removes a folder that CLLM wrote after giving it a name of that kind: half removed it must not
/// look whole, and the next save continues where this call could not. Returns "" or "PATH: got
/// REASON".
std::string remove_aside(const std::string& folder);

/// Removes the partial folders in `parent` whose owners are gone, as far as it can.
void remove_partial_folders(const std::string& parent) noexcept;

}  // namespace cllm
