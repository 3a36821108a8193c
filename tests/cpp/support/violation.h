// A check of an invariant fails this way where no test macro can be used.
#pragma once

#include <stdexcept>

namespace cllm {

/// Means that an invariant does not hold.
struct Violation : std::logic_error {
  using std::logic_error::logic_error;
};
inline void check_that(bool holds, const char* what) {
  if (!holds) throw Violation(what);
}

}  // namespace cllm
