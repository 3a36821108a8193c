// What a run needs of its folder, found out before anything is written.
#pragma once

#include <string>

namespace cllm {

/// Throws InputError (--out) unless a run folder can be made at `path`: nothing there or an empty
/// folder, below a folder that can be written to. Leaves no trace.
void check_new_run_folder(const std::string& path);

}  // namespace cllm
