// These bindings let the `cllm` command do what train_model does with signals, descriptors and
// words on standard error.
#include "cllm/stop_signals.h"

#include <optional>

#include "bindings.h"
#include "cllm/process.h"
#include "cllm/progress.h"
#include "py_trainer.h"

namespace cllm::python {
namespace {

/// Holds a StopOnSignal from __enter__ to __exit__.
class StopInside {
 public:
  explicit StopInside(PyTrainer& trainer) : trainer_(trainer.trainer) {}
  void enter() { stop_.emplace(trainer_); }
  void exit(const py::args&) { stop_.reset(); }

 private:
  Trainer& trainer_;
  std::optional<StopOnSignal> stop_;
};

}  // namespace

void register_stop_signals(py::module_& m) {
  m.def("take_standard_descriptors", &take_standard_descriptors,
        "Opens /dev/null where descriptor 0, 1 or 2 is closed.");
  m.def(
      "write_to_stderr", [](const py::str& text) { write_to_stderr(path_text(text, "text")); },
      py::arg("text"), "As far as it can be written without waiting; never fails.");
  m.def("catch_stop_signals", &catch_stop_signals, py::kw_only(), py::arg("announce"),
        "From here on SIGINT, SIGTERM, SIGHUP and SIGXCPU ask for a stop, SIGUSR1 for a\n"
        "checkpoint, and Python does not hear of them.");
  py::class_<StopInside>(m, "StopOnSignal",
                         "Hands what catch_stop_signals caught to a trainer inside a `with`;\n"
                         "afterwards signals change nothing.")
      .def(py::init<PyTrainer&>(), py::arg("trainer"), py::keep_alive<1, 2>())
      .def("__enter__", &StopInside::enter)
      .def("__exit__", &StopInside::exit);
}

}  // namespace cllm::python
