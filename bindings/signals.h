// These classes handle Ctrl-C while the engine runs without the GIL.
#pragma once

#include <chrono>
#include <optional>

#include "bindings.h"
#include "cllm/stop_signals.h"

namespace cllm::python {

/// Lets Python run its signal handlers now and then, and keeps what they raise for later. REQUIRES:
/// made with the GIL held; poll() is called without it.
class SignalWatch {
 public:
  SignalWatch()
      : main_thread_(
            py::module_::import("threading")
                .attr("get_ident")()
                .equal(py::module_::import("threading").attr("main_thread")().attr("ident"))) {}

  /// Returns true once a handler has raised. It looks at most every 20 ms, because it may have to
  /// wait for the GIL, and only on the main thread, where Python runs handlers.
  bool poll() {
    if (raised_) return true;
    const auto now = std::chrono::steady_clock::now();
    if (!main_thread_ || now - looked_ < std::chrono::milliseconds(20)) return false;
    looked_ = now;
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) raised_.emplace();
    return raised_.has_value();
  }

  /// Keeps an interrupt that a callback met. REQUIRES: the GIL.
  void keep(py::error_already_set&& error) {
    if (!raised_) raised_.emplace(std::move(error));
  }

  /// Raises what was kept. REQUIRES: the GIL.
  void rethrow() {
    if (!raised_ && main_thread_ && PyErr_CheckSignals() != 0) raised_.emplace();
    if (!raised_) return;
    py::error_already_set error(std::move(*raised_));
    raised_.reset();
    throw error;  // NOLINT: a copy, because the optional goes
  }

 private:
  const bool main_thread_;
  std::chrono::steady_clock::time_point looked_{};
  std::optional<py::error_already_set> raised_;
};

/// Lets Ctrl-C and SIGTERM reach the trainer at once inside run() on the main thread: Ctrl-C if
/// Python would turn it into a KeyboardInterrupt, which comes when run() has saved; SIGTERM if it
/// would end the process. A handler that the user installed decides for itself. REQUIRES: the GIL.
class StopWatch {
 public:
  explicit StopWatch(Trainer& trainer) {
    const py::module_ threading = py::module_::import("threading");
    const py::module_ signal = py::module_::import("signal");
    const bool main_thread = threading.attr("current_thread")().is(threading.attr("main_thread")());
    if (!main_thread || catches_stop_signals()) return;
    const py::object handler = signal.attr("getsignal")(signal.attr("SIGINT"));
    if (handler.is(signal.attr("default_int_handler"))) interrupt_.emplace(trainer);
    terminate_.emplace(trainer);
  }

 private:
  std::optional<StopBeforeInterrupt> interrupt_;
  std::optional<StopInsteadOfEnd> terminate_;
};

/// Says whether there is a standard error; without one, its number may be another file's.
inline bool has_stderr() { return !py::module_::import("sys").attr("stderr").is_none(); }

}  // namespace cllm::python
