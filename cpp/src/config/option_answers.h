// Some names of other programs' options stand for something else here, or for nothing.
#pragma once

#include <string>

namespace cllm {

/// Returns what to do about such a name of a training program, in plain_name's form; "" for others.
std::string option_answer(const std::string& plain);

}  // namespace cllm
