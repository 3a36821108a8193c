// Signals ask a training program to stop or to save; this handles them for every program.
#pragma once

#include "cllm/trainer.h"

namespace cllm {

/// Makes SIGINT (Ctrl-C), SIGTERM, SIGHUP and SIGXCPU ask for a stop and SIGUSR1 ask for a
/// checkpoint from now on. A signal that the program was started to ignore stays ignored (nohup,
/// `&` in sh). A request is remembered until a StopOnSignal hands it on. A second SIGINT ends the
/// process at once, unless it follows the first within a second, because `timeout`, shells and job
/// schedulers may deliver one request twice. `announce` says on standard error that a request was
/// heard.
void catch_stop_signals(bool announce);

/// Says whether catch_stop_signals was called.
bool catches_stop_signals() noexcept;

/// Hands requests to its trainer while it lives. Once it is gone, the process is about to end with
/// its exit code, and further signals change nothing. REQUIRES: one at a time.
class StopOnSignal {
 public:
  explicit StopOnSignal(Trainer& trainer);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
};

/// While it lives, a SIGINT asks the trainer to stop and then goes to the handler that was there
/// before; an interpreter hears of that one only between two calls. It does nothing where SIGINT is
/// ignored or ends the process. The newest one counts. REQUIRES: they end in reverse order, on the
/// thread that made them.
class StopBeforeInterrupt {
 public:
  explicit StopBeforeInterrupt(Trainer& trainer);
  ~StopBeforeInterrupt();
  StopBeforeInterrupt(const StopBeforeInterrupt&) = delete;
  StopBeforeInterrupt& operator=(const StopBeforeInterrupt&) = delete;

 private:
  Trainer* before_ = nullptr;  // counts again afterwards
  bool installed_ = false;     // by this one, not by one around it
};

/// While it lives, a SIGTERM that would end the process asks the trainer to stop instead. It does
/// nothing where SIGTERM is ignored or has a handler. The newest one counts. REQUIRES: as above.
class StopInsteadOfEnd {
 public:
  explicit StopInsteadOfEnd(Trainer& trainer);
  ~StopInsteadOfEnd();
  StopInsteadOfEnd(const StopInsteadOfEnd&) = delete;
  StopInsteadOfEnd& operator=(const StopInsteadOfEnd&) = delete;

 private:
  Trainer* before_ = nullptr;  // counts again afterwards
  bool installed_ = false;     // by this one, not by one around it
};

}  // namespace cllm
