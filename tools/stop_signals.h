// Ctrl-C and SIGTERM ask a trainer to stop after its step; the second of a kind ends the process.
#pragma once

#include "cllm/trainer.h"

/// From here on the first SIGINT or SIGTERM is remembered. `announce` says so on standard error.
void catch_stop_signals(bool announce);

/// While it lives, a remembered or arriving signal calls request_stop. REQUIRES: one at a time.
class StopOnSignal {
 public:
  explicit StopOnSignal(cllm::Trainer& trainer);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
};
