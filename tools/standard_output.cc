#include "standard_output.h"

#include <cerrno>
#include <iostream>

#include "cllm/error.h"

bool flush_output() {
  if (std::cout.flush()) return true;
  if (errno == EPIPE) return false;
  throw cllm::Error("standard output: cannot be written");
}
