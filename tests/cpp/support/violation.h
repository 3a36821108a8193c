// How a check of an invariant fails where no test macro can be used.
#pragma once

#include <stdexcept>

namespace cllm {

/// An invariant that does not hold.
struct Violation : std::logic_error {
  using std::logic_error::logic_error;
};
inline void check_that(bool holds, const char* what) {
  if (!holds) throw Violation(what);
}

}  // namespace cllm
