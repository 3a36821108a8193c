// Bad input is refused in one call.
#pragma once

#include <string>

#include "cllm/error.h"

namespace cllm {

/// Throws an InputError of these parts.
[[noreturn]] inline void refuse(const std::string& what, const std::string& seen,
                                const std::string& wanted, const std::string& where,
                                const std::string& hint = "") {
  throw InputError(ErrorParts{what, seen, wanted, where, hint});
}

}  // namespace cllm
