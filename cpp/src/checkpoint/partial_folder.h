// Working folders of saves in progress, and how to tell them from what killed runs left behind.
#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace cllm {

/// The name of the link that is about to become checkpoints/latest.
constexpr const char* kNextLinkName = ".latest-next";

/// Makes an empty folder ".cllm-partial-*" beside `folder`, opened and locked as `*lock`. The lock
/// ends when the descriptor is closed or the process dies, killed or not. Throws Error.
std::string make_partial_folder(const std::string& folder, FileDescriptor* lock);

/// A free name of that kind, for a folder that is about to be removed. Throws Error.
std::string partial_name(const std::string& folder);
/// Whether `name` (without its folder) is of that kind.
bool is_partial_name(const std::string& name);

/// Removes a folder of ours under a name of that kind: half removed it must not look whole, and the
/// next save goes on where this call could not. Returns "" or "PATH: got REASON".
std::string remove_aside(const std::string& folder);

/// Removes the partial folders in `parent` whose owners are gone, as far as it can.
void remove_partial_folders(const std::string& parent) noexcept;

}  // namespace cllm
