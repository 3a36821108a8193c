// The reports bindings give Python what a trainer reports: steps, evaluations, spheres.
#include <pybind11/native_enum.h>

#include <cstdio>

#include "bindings.h"
#include "cllm/trainer.h"

namespace cllm::python {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

void register_steps(py::module_& m) {
  py::class_<StepReport>(m, "StepReport", "One optimizer update; one line of metrics.jsonl.")
      .def_readonly("step", &StepReport::step, "Updates done, counting this one.")
      .def_readonly("epoch", &StepReport::epoch, "Passes over the training tokens so far.")
      .def_readonly("tokens", &StepReport::tokens, "Tokens trained on so far.")
      .def_readonly("loss", &StepReport::loss, "Mean cross-entropy of the step, nats a token.")
      .def_readonly("gradient_norm", &StepReport::gradient_norm, "Global, before clipping.")
      .def_readonly("learning_rate", &StepReport::learning_rate)
      .def_readonly("milliseconds", &StepReport::milliseconds, "Wall time of the step.")
      .def_readonly("tokens_per_second", &StepReport::tokens_per_second)
      .def_readonly("gflops", &StepReport::gflops)
      .def_readonly("mfu", &StepReport::mfu, "Of the cores' measured GEMM peak, 0 to 1.")
      .def_readonly("skipped", &StepReport::skipped,
                    "Nothing was updated: loss or gradient was not finite.")
      .def_readonly("late", &StepReport::late,
                    "The workers waited for data: a batch was not laid out in time.")
      .def_readonly("workers", &StepReport::workers, "That were to compute in it.")
      .def("__repr__", [](const StepReport& r) {
        return "<cllm.StepReport: step " + std::to_string(r.step) + ", loss " + number(r.loss) +
               ">";
      });
  py::class_<EvaluationReport>(m, "EvaluationReport", "Mean loss over the validation part.")
      .def_readonly("step", &EvaluationReport::step)
      .def_readonly("validation_loss", &EvaluationReport::validation_loss, "Nats a token.")
      .def_readonly("bits_per_byte", &EvaluationReport::bits_per_byte, "Byte models only, else 0.")
      .def_readonly("val_tokens", &EvaluationReport::val_tokens, "Predicted in this evaluation.")
      .def_readonly("val_tokens_total", &EvaluationReport::val_tokens_total,
                    "That the validation part has to predict.")
      .def("__repr__", [](const EvaluationReport& r) {
        return "<cllm.EvaluationReport: step " + std::to_string(r.step) + ", validation loss " +
               number(r.validation_loss) + ">";
      });
}

}  // namespace

void register_reports(py::module_& m) {
  register_steps(m);
  py::class_<SphereReport>(m, "SphereReport",
                           "What a sphere did in training steps; times in seconds.")
      .def_readonly("id", &SphereReport::id)
      .def_readonly("level", &SphereReport::level)
      .def_readonly("role", &SphereReport::role)
      .def_readonly("parent", &SphereReport::parent, "-1 for the root.")
      .def_readonly("active", &SphereReport::active, "Was handed work in training steps.")
      .def_readonly("cpu_seconds", &SphereReport::cpu_seconds)
      .def_readonly("busy_seconds", &SphereReport::busy_seconds, "Inside tiles.")
      .def_readonly("parked_seconds", &SphereReport::parked_seconds, "Asleep in the kernel.")
      .def_readonly("wall_seconds", &SphereReport::wall_seconds,
                    "Of the steps that the other times cover.")
      .def_readonly("tiles", &SphereReport::tiles)
      .def_readonly("messages_in", &SphereReport::messages_in)
      .def_readonly("messages_out", &SphereReport::messages_out)
      .def_readonly("queue_high_water", &SphereReport::queue_high_water)
      .def("__repr__", [](const SphereReport& r) {
        return "<cllm.SphereReport " + std::to_string(r.id) + ": " + r.role + ", " +
               std::to_string(r.tiles) + " tiles>";
      });
  py::class_<GroupReport>(m, "GroupReport",
                          "The tokens of one symmetry group in the steps so far, and where the "
                          "sequences in which they\nprevail went.")
      .def_readonly("group", &GroupReport::group)
      .def_readonly("position", &GroupReport::position,
                    "Where routing by symmetry sends its sequences.")
      .def_readonly("sequences", &GroupReport::sequences,
                    "Those in which no group has more tokens.")
      .def_readonly("tokens", &GroupReport::tokens, "Of the group, in sequences of any.")
      .def_readonly("moved", &GroupReport::moved,
                    "Its sequences that went elsewhere, so that positions stay equal.")
      .def("__repr__", [](const GroupReport& r) {
        return "<cllm.GroupReport " + std::to_string(r.group) + ": " + std::to_string(r.sequences) +
               " sequences, " + std::to_string(r.moved) + " moved>";
      });
  py::native_enum<RunOutcome>(m, "RunOutcome", "enum.Enum", "How Trainer.run() ended.")
      .value("FINISHED", RunOutcome::kFinished)
      .value("STOPPED", RunOutcome::kStopped)
      .finalize();
}

}  // namespace cllm::python
