// Counts of steps and the like end where a double still holds every integer.
#pragma once

namespace cllm {

/// No run counts so far, so messages do not state this limit.
constexpr double kCountLimit = 1e15;

}  // namespace cllm
