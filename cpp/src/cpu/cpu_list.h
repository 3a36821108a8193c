// The kernel writes sets of CPUs like this: "0-3,8,10-11".
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// Returns the CPUs that `text` names, ascending and without duplicates; none when any part of it
/// is neither a number nor a range. White space around the text is allowed.
std::vector<int> parse_cpu_list(const std::string& text);

/// Parses a file's first line with parse_cpu_list; returns none when the file cannot be read.
std::vector<int> read_cpu_list(const std::string& path);

}  // namespace cllm
