// The reports bindings give Python what a trainer reports: steps, evaluations, spheres, groups.
// Attributes have the names of the lines in metrics.jsonl, spheres.jsonl and groups.jsonl.
#include <pybind11/native_enum.h>

#include <cmath>
#include <optional>

#include "bindings.h"
#include "cllm/trainer.h"
#include "value_class.h"

namespace cllm::python {
namespace {

void register_steps(py::module_& m) {
  ValueClass<StepReport>(m, "StepReport", "One optimizer update; one line of metrics.jsonl.")
      .field("step", &StepReport::step, "Updates done, counting this one.")
      .field("epoch", &StepReport::epoch, "Passes over the training tokens so far.")
      .field("tokens", &StepReport::tokens, "Tokens trained on so far.")
      .field("trained_tokens", &StepReport::trained_tokens,
             "Targets of the step that are learned from: those that are not -1.")
      .field("loss", &StepReport::loss, "Mean cross-entropy of the step, nats a token.")
      .field("grad_norm", &StepReport::gradient_norm,
             "Global norm of the gradient, before clipping.")
      .field("lr", &StepReport::learning_rate, "Learning rate of the step.")
      .field("ms", &StepReport::milliseconds, "Wall time of the step, milliseconds.")
      .field("tokens_per_s", &StepReport::tokens_per_second, "Tokens trained on in a second.")
      .field("gflops", &StepReport::gflops,
             "Arithmetic over the wall time, 1e9 operations a second.")
      .field("mfu", &StepReport::mfu, "Part of the cores' measured GEMM peak, 0 to 1.")
      .field("skipped", &StepReport::skipped,
             "Whether nothing was updated, because loss or gradient was not finite, or because\n"
             "there was no target to learn from.")
      .field("late", &StepReport::late,
             "Whether the workers waited for data, because a batch was not ready in time.")
      .field("workers", &StepReport::workers, "Workers that were to compute in it.")
      .done();
}

std::optional<double> bits_per_byte(const EvaluationReport& r) {
  return r.bits_per_byte > 0 ? std::optional<double>(r.bits_per_byte) : std::nullopt;
}

std::optional<std::int64_t> step_of(const EvaluationReport& r) {
  return r.step < 0 ? std::nullopt : std::optional<std::int64_t>(r.step);
}

void register_evaluations(py::module_& m) {
  ValueClass<EvaluationReport>(m, "EvaluationReport",
                               "The mean loss over tokens that are not trained on; one line of "
                               "metrics.jsonl.")
      .field(
          "step", &step_of,
          [](EvaluationReport& r, const py::handle& value) {
            r.step = value.is_none() ? -1 : value.cast<std::int64_t>();
          },
          "Updates of the run done before it; None for a Model, which is of no run.")
      .field("val_loss", &EvaluationReport::validation_loss, "Mean cross-entropy, nats a token.")
      .field(
          "bits_per_byte", &bits_per_byte,
          [](EvaluationReport& r, const py::handle& value) {
            r.bits_per_byte = value.is_none() ? 0 : value.cast<double>();
          },
          "The loss in bits a byte of text; None where tokens are no bytes.")
      .field("val_tokens", &EvaluationReport::val_tokens, "Tokens predicted in this evaluation.")
      .field("val_tokens_total", &EvaluationReport::val_tokens_total,
             "Tokens that the data has to predict.")
      .shown(
          "perplexity", [](const EvaluationReport& r) { return std::exp(r.validation_loss); },
          "exp(val_loss).")
      .done();
}

void register_spheres(py::module_& m) {
  ValueClass<SphereReport>(m, "SphereReport",
                           "What a sphere did in training steps; one line of spheres.jsonl. Times "
                           "are in seconds.")
      .field("id", &SphereReport::id, "Number in the tree, level by level.")
      .field("level", &SphereReport::level, "0 for the root.")
      .field("role", &SphereReport::role, "\"root\", \"control\", \"worker\" or \"root+worker\".")
      .field("parent", &SphereReport::parent, "Id; -1 for the root.")
      .field("active", &SphereReport::active, "Whether it was given work in training steps.")
      .field("cpu_s", &SphereReport::cpu_seconds, "Time on a CPU.")
      .field("busy_s", &SphereReport::busy_seconds, "Time inside tiles.")
      .field("parked_s", &SphereReport::parked_seconds, "Time asleep in the kernel.")
      .field("wall_s", &SphereReport::wall_seconds, "Time of the steps that the others cover.")
      .field("tiles", &SphereReport::tiles, "Tiles that it computed.")
      .field("messages_in", &SphereReport::messages_in, "Messages received.")
      .field("messages_out", &SphereReport::messages_out, "Messages sent.")
      .field("queue_high_water", &SphereReport::queue_high_water, "Most messages that waited.")
      .done();
  ValueClass<GroupReport>(m, "GroupReport",
                          "The tokens of one symmetry group in the steps so far, and where the "
                          "sequences in which they\nprevail went; one line of groups.jsonl.")
      .field("group", &GroupReport::group, "Number of the group.")
      .field("position", &GroupReport::position, "Where routing by symmetry sends its sequences.")
      .field("sequences", &GroupReport::sequences, "Sequences in which no group has more tokens.")
      .field("tokens", &GroupReport::tokens, "Tokens of the group, in sequences of any.")
      .field("moved", &GroupReport::moved,
             "Its sequences that went elsewhere, so that positions stay equal.")
      .done();
  ValueClass<RingReport>(m, "RingReport",
                         "The tokens of a band of rings of the lattice in the steps so far; one "
                         "line of rings.jsonl.\n"
                         "The lowest 16 rings are a band each; above, each half of a doubling is "
                         "one.")
      .field("ring", &RingReport::ring, "Number of its lowest ring.")
      .field("rings", &RingReport::rings, "How many rings it has.")
      .field("first", &RingReport::first, "Its first token.")
      .field("tokens", &RingReport::tokens, "Tokens of all its rings.")
      .field("moved", &RingReport::moved,
             "Those in sequences that went elsewhere, so that positions stay equal.")
      .done();
}

}  // namespace

void register_reports(py::module_& m) {
  register_steps(m);
  register_evaluations(m);
  register_spheres(m);
  py::native_enum<RunOutcome>(m, "RunOutcome", "enum.Enum", "How Trainer.run() ended.")
      .value("FINISHED", RunOutcome::kFinished)
      .value("STOPPED", RunOutcome::kStopped)
      .finalize();
}

}  // namespace cllm::python
