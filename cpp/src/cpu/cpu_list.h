// The kernel's way to write sets of CPUs: "0-3,8,10-11".
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// The CPUs that `text` names, ascending, each once; none when any part of it is not a number or a
/// range of them. White space around it is no fault.
std::vector<int> parse_cpu_list(const std::string& text);

/// parse_cpu_list of a file's first line; none when it cannot be read.
std::vector<int> read_cpu_list(const std::string& path);

}  // namespace cllm
