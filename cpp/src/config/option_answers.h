// Some names of other programs' options stand for something else here, or for nothing.
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// Is what people look for under some names, in plain_name's form, and do not find.
struct OptionAnswer {
  std::vector<const char*> names;
  std::string text;
};

/// Returns what to do about a name of a training program.
std::vector<OptionAnswer> training_answers();

/// Returns the answer to a name as it was typed; "" when there is none.
std::string answer_to(const std::string& name, const std::vector<OptionAnswer>& answers);

}  // namespace cllm
