// The words of a command line are prepared for CLI11, and what it did not know is answered.
#pragma once

#include <functional>
#include <string>
#include <vector>

/// Returns the words of the command line in reverse, as CLI11 wants them, with dashes for the
/// underscores in names of options.
std::vector<std::string> typed_words(int argc, char** argv);

/// Throws cllm::InputError when one option is given twice, under whatever names. option_of(name)
/// returns the option that a name, without dashes, stands for; "": it may be given again.
void refuse_repeated(const std::vector<std::string>& words,
                     const std::function<std::string(const std::string&)>& option_of);

/// Throws cllm::InputError that names every unknown option among the words left over, with
/// hint_of(name), or else the value that belongs to none. REQUIRES: there are some.
[[noreturn]] void refuse_left_over(const std::vector<std::string>& words,
                                   const std::function<std::string(const std::string&)>& hint_of);
