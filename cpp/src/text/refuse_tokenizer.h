// A tokenizer that is none of the kinds that are read here has one message.
#pragma once

#include <string>

#include "base/refuse.h"

namespace cllm {

/// Throws an InputError that sends the user to the program which runs any tokenizer.
[[noreturn]] inline void refuse_tokenizer(const std::string& seen, const std::string& wanted,
                                          const std::string& where) {
  refuse("this tokenizer is not one that is run here", seen, wanted, where,
         "`cllm generate` runs any tokenizer.json");
}

}  // namespace cllm
