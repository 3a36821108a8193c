// The lines of a file are read one at a time, however long the file is.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace cllm {

/// Calls `use` with each line, without its newline, until `use` returns false. `ended` is false for
/// a last line that has no newline. Throws InputError when the file cannot be read.
void read_lines(const std::string& path,
                const std::function<bool(std::string_view line, bool ended)>& use);

}  // namespace cllm
