// Both programs end alike when standard output cannot be written.
#pragma once

/// Brings out what std::cout holds. Returns false when its reader has gone away, as with `| head`:
/// the program then ends with code 1 and has nothing to say. Throws cllm::Error when it cannot be
/// written.
bool flush_output();
