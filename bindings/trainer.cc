// The trainer bindings give Python a Trainer, which is a training run.
#include "cllm/trainer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "arguments.h"
#include "callbacks.h"
#include "cllm/error.h"
#include "cllm/progress.h"
#include "memory_data.h"
#include "py_trainer.h"
#include "signals.h"

namespace cllm::python {
namespace {

/// Returns the trainers inside run(), for the end of the interpreter, which would otherwise end a
/// daemon thread in the middle of a step. The GIL guards the list.
std::vector<PyTrainer*>& running() {
  static std::vector<PyTrainer*> trainers;
  return trainers;
}

/// Keeps a trainer in the list while it runs. REQUIRES: the GIL, at both ends.
class Running {
 public:
  explicit Running(PyTrainer& trainer) : trainer_(&trainer) { running().push_back(trainer_); }
  ~Running() { running().erase(std::find(running().begin(), running().end(), trainer_)); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  PyTrainer* const trainer_;
};

/// Stops the runs of daemon threads, which then save, before the interpreter ends.
void stop_running() {
  while (!running().empty()) {
    for (PyTrainer* trainer : running()) trainer->trainer.request_stop();
    const py::gil_scoped_release release;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

/// Reads a trainer. Only one thread at a time may read it, as for everything else.
template <class Read>
auto reading(PyTrainer& self, const Read& read) {
  const InUse::Reading hold(self.in_use, "the trainer");
  return read(self.trainer);
}

/// Says what a callback can do instead of what it may not.
constexpr const char* kOutsideCallbacks =
    "a callback may evaluate, save and look; the rest comes after run(), or in a loop of step()";

std::unique_ptr<PyTrainer> create(const TrainConfig& config, const TextListener& on_note) {
  const TrainConfig settings = config;  // others may change theirs while the GIL is released
  const bool tells = !on_note.is_none();
  const py::gil_scoped_release release;
  return std::make_unique<PyTrainer>(settings, [&](const std::string& note) {
    if (!tells) return;
    const py::gil_scoped_acquire gil;
    on_note(path_object(note));
  });
}

RunOutcome run(PyTrainer& self, const StepListener& on_step,
               const EvaluationListener& on_evaluation, const TextListener& on_checkpoint,
               const TextListener& on_note, const TextListener& on_warning, bool progress) {
  const InUse::Hold hold(self.in_use, "the trainer", InUse::Also::kNobody, kOutsideCallbacks);
  const Running running(self);
  const StopWatch signals(self.trainer);
  self.told = true;
  progress = progress && has_stderr();
  Callbacks callbacks(self.in_use, {on_step, on_evaluation, on_checkpoint, on_note, on_warning});
  RunOutcome outcome = RunOutcome::kFinished;
  {
    const py::gil_scoped_release release;
    const TrainConfig& config = self.trainer.config();
    if (progress) {
      callbacks.show_progress({self.trainer.steps_done(), self.trainer.steps_total(),
                               config.log_every, config.quiet, config.out});
    }
    outcome = self.trainer.run(callbacks);
    callbacks.end_progress();
  }
  callbacks.rethrow();
  return outcome;
}

StepReport step_on(PyTrainer& self, const TokenMatrix& inputs, const TokenMatrix& targets,
                   const OptionalTokens& first_keys) {
  const TrainConfig& config = self.trainer.config();
  const std::int64_t B = config.batch * config.grad_accum, T = config.sequence;
  const auto check = [&](const TokenMatrix& tokens, const char* name) {
    if (tokens.rows() == B && tokens.columns() == T) return;
    const auto text = [](std::int64_t rows, std::int64_t columns) {
      return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
    };
    throw InputError({"the step batch has another shape than the configuration",
                      text(tokens.rows(), tokens.columns()), text(B, T), name,
                      "batch * grad_accum sequences of seq tokens"});
  };
  check(inputs, "inputs");
  check(targets, "targets");
  const std::int64_t V = self.trainer.model().vocabulary;
  const std::vector<std::int32_t> in = inputs.values(V), out = targets.values(V);
  const FirstKeys keys(first_keys, inputs);
  const py::gil_scoped_release release;
  return self.trainer.step({in.data(), B, T}, {out.data(), B, T}, keys.array());
}

void warn_of(const std::string& note) {
  py::module_::import("cllm._notes").attr("warn_here")(path_object(note));
}

/// Warns, once, of what run() would tell: in a loop of step() nobody listens.
void warn_of_notes(PyTrainer& self) {
  if (self.told) return;
  self.told = true;
  if (self.trainer.config().quiet) return;
  for (const std::string& note : self.trainer.notes()) warn_of(note);
}

StepReport step(PyTrainer& self, const OptionalTokens& inputs, const OptionalTokens& targets,
                const OptionalTokens& first_keys) {
  const InUse::Hold hold(self.in_use, "the trainer", InUse::Also::kNobody, kOutsideCallbacks);
  warn_of_notes(self);
  if (inputs.is_none() && targets.is_none() && first_keys.is_none()) {
    const py::gil_scoped_release release;
    return self.trainer.step();
  }
  if (inputs.is_none()) {
    const char* const given = targets.is_none() ? "first_keys" : "targets";
    throw InputError(
        {given + std::string(" without inputs"), "None", "an array [B, T]", "inputs", ""});
  }
  if (!targets.is_none()) {
    return step_on(self, TokenMatrix(inputs, "inputs"), TokenMatrix(targets, "targets"),
                   first_keys);
  }
  const TokenMatrix check(inputs, "inputs");  // sequences of T + 1 tokens: all but one serve twice
  const std::int64_t T = self.trainer.config().sequence;
  if (check.columns() != T + 1) {
    throw InputError({"wrong length", std::to_string(check.columns()) + " tokens a sequence",
                      std::to_string(T + 1) + " (seq + 1), or inputs and targets", "inputs", ""});
  }
  const py::object array = py::module_::import("numpy").attr("asarray")(inputs);
  const auto part = [&](const py::object& from, const py::object& to) {
    const py::tuple cut = py::make_tuple(py::slice(py::none(), py::none(), py::none()),
                                         py::slice(from, to, py::none()));
    return TokenMatrix(array[cut], "inputs");
  };
  return step_on(self, part(py::none(), py::int_(-1)), part(py::int_(1), py::none()), first_keys);
}

EvaluationReport evaluate(PyTrainer& self, const OptionalData& data) {
  const InUse::Hold hold(self.in_use, "the trainer", InUse::Also::kCallbacks, kOutsideCallbacks);
  if (data.is_none() && !self.trainer.has_validation()) {
    throw Error({"nothing to evaluate on", "no validation part", "two tokens at least", "", ""});
  }
  const MemoryData::Pointer in_memory = data.is_none() ? nullptr : data_in_memory(data, "data");
  const std::string path = data.is_none() || in_memory ? "" : path_text(data, "data");
  SignalWatch signals;
  EvaluationReport report;
  {
    const py::gil_scoped_release release;
    const auto stop = [&] { return signals.poll(); };
    report = in_memory      ? self.trainer.evaluate(in_memory, stop)
             : path.empty() ? self.trainer.evaluate(stop)
                            : self.trainer.evaluate(path, stop);
  }
  signals.rethrow();
  return report;
}

void generate(PyTrainer& self, const AnyArgument& prompt, std::int64_t tokens, double temperature,
              std::int64_t top_k, double top_p, std::int64_t seed, std::int64_t known,
              const AnyArgument& on_token) {
  const InUse::Hold hold(self.in_use, "the trainer", InUse::Also::kCallbacks, kOutsideCallbacks);
  const std::vector<std::int32_t> start =
      token_list(prompt, "prompt", self.trainer.model().vocabulary);
  SignalWatch signals;
  const auto hear = [&](std::int32_t token) {
    const py::gil_scoped_acquire gil;
    return !on_token(token).is(py::bool_(false)) && !signals.poll();
  };
  {
    const py::gil_scoped_release release;
    self.trainer.generate(start, tokens, {temperature, top_k, top_p, seed, known}, hear);
  }
  signals.rethrow();
}

StepReport next(PyTrainer& self) {
  const bool done =
      reading(self, [](Trainer& trainer) { return trainer.steps_done() >= trainer.steps_total(); });
  if (done) throw py::stop_iteration();
  const OptionalTokens none{py::none()};
  return step(self, none, none, none);
}

void set_learning_rate(PyTrainer& self, const OptionalNumber& value) {
  const std::optional<double> rate = number_or_none(value, "learning_rate");
  reading(self, [&](Trainer& trainer) { trainer.set_learning_rate(rate); });
}

void resize(PyTrainer& self, std::int64_t workers) {
  const InUse::Hold hold(self.in_use, "the trainer", InUse::Also::kNobody, kOutsideCallbacks);
  const py::gil_scoped_release release;
  self.trainer.resize(workers);
}

void save(PyTrainer& self, const PathArgument& folder) {
  const std::string path = path_text(folder, "folder");
  const std::vector<std::string> notes = reading(self, [&](Trainer& trainer) {
    const auto before = static_cast<std::ptrdiff_t>(trainer.notes().size());
    {
      const py::gil_scoped_release release;
      trainer.save(path);
    }
    return std::vector<std::string>(trainer.notes().begin() + before, trainer.notes().end());
  });
  if (self.trainer.config().quiet) return;
  for (const std::string& note : notes) warn_of(note);
}

std::string weights_hash(PyTrainer& self) {
  return reading(self, [](Trainer& trainer) {
    const py::gil_scoped_release release;
    return trainer.weights_hash();
  });
}

Arrays parameters(PyTrainer& self) {
  return reading(self, [](Trainer& trainer) { return array_views(trainer.parameters()); });
}

Arrays gradients(PyTrainer& self) {
  return reading(self, [](Trainer& trainer) { return array_views(trainer.gradients()); });
}

/// Returns a getter for a method of the engine's trainer that only returns something.
template <class Result>
auto getter(Result (Trainer::*method)() const) {
  return [method](PyTrainer& self) {
    return reading(self, [&](Trainer& trainer) {
      return static_cast<std::decay_t<Result>>((trainer.*method)());
    });
  };
}

template <class Result>
auto getter(Result (Trainer::*method)() const noexcept) {
  return [method](PyTrainer& self) {
    return reading(self, [&](Trainer& trainer) {
      return static_cast<std::decay_t<Result>>((trainer.*method)());
    });
  };
}

py::object config_of(PyTrainer& self) {
  return reading(self, [](Trainer& trainer) { return trainer_config(trainer.config()); });
}

std::string repr(PyTrainer& self) {
  const unsigned long holder = self.in_use.holder();
  if (holder != 0 && holder != PyThread_get_thread_ident()) {
    return "<cllm.Trainer: another thread is using it>";
  }
  return reading(self, [](Trainer& trainer) {
    return "<cllm.Trainer: step " + std::to_string(trainer.steps_done()) + " of " +
           std::to_string(trainer.steps_total()) + ", " + std::to_string(trainer.workers()) +
           " workers>";
  });
}

using Class = py::class_<PyTrainer>;

void add_training(Class& cls) {
  cls.def(py::init(&create), py::arg("config"), py::kw_only(), py::arg("on_note") = py::none(),
          "on_note(str) is told what will take seconds before it begins.")
      .def("run", &run, py::kw_only(), py::arg("on_step") = py::none(),
           py::arg("on_evaluation") = py::none(), py::arg("on_checkpoint") = py::none(),
           py::arg("on_note") = py::none(), py::arg("on_warning") = py::none(),
           py::arg("progress") = false,
           "Trains to the last step: metrics, evaluations, checkpoints, final model in the run\n"
           "folder. The callbacks get a StepReport, an EvaluationReport, a checkpoint's folder, a\n"
           "note; what one raises ends the run at once. Ctrl-C and request_stop() save first.\n"
           "`on_warning` gets those notes that are a cause for concern.\n"
           "`progress` shows a live line on standard error.")
      .def(
          "step", &step, py::arg("inputs") = py::none(), py::arg("targets") = py::none(),
          py::arg("first_keys") = py::none(),
          "One update: on the next batch of the data, or on your own integers inputs[B, T] and\n"
          "targets[B, T], or on [B, T + 1], of which each token is the target of the one before\n"
          "it. B is batch * grad_accum, T is seq. Targets of -1 and `first_keys`[B, T] are as for\n"
          "Model.loss_and_gradients; without a target that counts the update is skipped.")
      .def(
          "__iter__", [](const py::object& self) { return self; },
          "Steps until steps_total, a StepReport each.")
      .def("__next__", &next)
      .def("evaluate", &evaluate, py::arg("data") = py::none(),
           "Computes the mean loss over eval_tokens of the validation part or, if given, over all\n"
           "of `data`, which may be what TrainConfig(data=...) may be.")
      .def("_generate", &generate, py::arg("prompt"), py::kw_only(), py::arg("tokens"),
           py::arg("temperature"), py::arg("top_k"), py::arg("top_p"), py::arg("seed"),
           py::arg("known"), py::arg("on_token"),
           "Continues ids with the weights as they are now, until on_token(id) is False.")
      .def("resize", &resize, py::arg("workers"),
           "Another number of computing threads from the next step on. No bit changes.")
      .def(
          "request_stop", [](PyTrainer& self) { self.trainer.request_stop(); },
          "Asks run() to save and return; from any thread or callback.")
      .def(
          "request_save", [](PyTrainer& self) { self.trainer.request_save(); },
          "Asks run() to write a checkpoint after this step and go on; likewise.")
      .def(
          "save", &save, py::arg("folder"),
          "Writes a complete checkpoint, which Model.load and transformers open too, and from\n"
          "which TrainConfig(resume=folder, out=\"run\") goes on in a run of its own. With `lora`\n"
          "it is an adapter, which PEFT opens.");
}

void add_views(Class& cls) {
  cls.def("parameters", &parameters,
          "Every tensor by its name in model.safetensors: float32 views without copies. Writing\n"
          "to one changes the model. With `lattice` the token embedding is E, from which the\n"
          "file's is made with the coefficients \"lattice.w\" (cllm.lattice). With `lora` these\n"
          "are the adapters: A as NAME.lora_A.weight, B as NAME.lora_B.weight.")
      .def("gradients", &gradients,
           "The gradient of the last step before clipping, likewise; read-only, and overwritten\n"
           "by the next step.")
      .def("spheres", getter(&Trainer::spheres), "What each sphere did, by id.")
      .def("groups", getter(&Trainer::groups),
           "What the steps held of each symmetry group of tokens.")
      .def("rings", getter(&Trainer::rings),
           "What they held of each band of rings of the lattice that had tokens; none without\n"
           "`lattice`.")
      .def("weights_hash", &weights_hash,
           "SHA-256 of the model.safetensors that save() writes; with `lora`, of\n"
           "adapter_model.safetensors.")
      .def_property_readonly("config", &config_of,
                             "The configuration with every \"auto\" decided; it cannot be changed.")
      .def_property_readonly("model_config", getter(&Trainer::model), "The shape of the model.")
      .def_property("learning_rate", getter(&Trainer::learning_rate), &set_learning_rate,
                    "Learning rate of the next step. One that is set holds for all later steps, in "
                    "a resumed\n"
                    "run too; None goes back to the schedule.")
      .def_property_readonly(
          "steps_done", [](const PyTrainer& self) { return self.trainer.steps_done(); },
          "Updates done; any thread may ask.")
      .def_property_readonly(
          "steps_total", [](const PyTrainer& self) { return self.trainer.steps_total(); },
          "Updates of the whole run.")
      .def_property_readonly(
          "_stop_requested", [](const PyTrainer& self) { return self.trainer.stop_requested(); },
          "Whether a stop was asked for, by a signal too, and the run goes on so far.")
      .def_property_readonly("workers", getter(&Trainer::workers), "Threads that compute.")
      .def_property_readonly("has_validation", getter(&Trainer::has_validation),
                             "Whether there is a validation part.")
      .def("__repr__", &repr);
}

}  // namespace

void register_trainer(py::module_& m) {
  Class cls(
      m, "Trainer", py::release_gil_before_calling_cpp_dtor(),
      "A training run on a tree of threads. Nothing is written before run() or save().\n\n"
      "TrainConfig(resume=\"run\") continues a run: options that are not set are the run's own.\n"
      "One thread at a time may use it; a second one gets a CllmError. From any thread may come\n"
      "request_stop(), request_save() and a look at steps_done. After fork() the child gets a\n"
      "CllmError from the first step, because threads are not copied.");
  add_training(cls);
  add_views(cls);
  py::module_::import("atexit").attr("register")(py::cpp_function(&stop_running));
}

}  // namespace cllm::python
