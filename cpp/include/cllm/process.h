// A program calls these first, so that its surroundings cannot harm or end a training run.
#pragma once

namespace cllm {

/// Opens /dev/null as descriptor 0, 1 or 2 where one of them is closed. Otherwise the next file
/// that is opened would get the number, and messages would be written into it. Descriptor 0 is
/// opened for writing and the others for reading, so that reading and writing still fail.
void take_standard_descriptors() noexcept;

/// Makes a write that cannot be done fail with an error (EPIPE, EFBIG) instead of ending the
/// process by SIGPIPE or SIGXFSZ.
void survive_failed_writes() noexcept;

}  // namespace cllm
