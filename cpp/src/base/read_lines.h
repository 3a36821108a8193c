// The lines of a file of any length, one at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace cllm {

/// Calls `use` with each line, without its newline, until it returns false. `ended` is false for a
/// last line that has no newline. Throws InputError when the file cannot be read.
void read_lines(const std::string& path,
                const std::function<bool(std::string_view line, bool ended)>& use);

}  // namespace cllm
