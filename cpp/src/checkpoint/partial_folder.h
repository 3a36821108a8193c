// Working folders of saves in progress, and how to tell them from what killed runs left behind.
#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace cllm {

/// Makes an empty folder ".cllm-partial-*" beside `folder`, opened and locked as `*lock`. The lock
/// ends when the descriptor is closed or the process dies, killed or not.
std::string make_partial_folder(const std::string& folder, FileDescriptor* lock);

/// A free name of that kind, for a folder that is about to be removed.
std::string partial_name(const std::string& folder);

/// Removes the partial folders in `parent` whose owners are gone.
void remove_partial_folders(const std::string& parent);

}  // namespace cllm
