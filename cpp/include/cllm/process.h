// What a program does first, so that what surrounds it cannot harm or end a training run.
#pragma once

namespace cllm {

/// Opens /dev/null as descriptor 0, 1 or 2 where one of them is closed. Otherwise the next file
/// that is opened gets the number, and messages are written into it. It is opened the wrong way
/// round, so that reading and writing still fail.
void take_standard_descriptors() noexcept;

/// A write that cannot be done fails with an error (EPIPE, EFBIG) instead of ending the process by
/// SIGPIPE or SIGXFSZ.
void survive_failed_writes() noexcept;

}  // namespace cllm
