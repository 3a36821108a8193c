// The bench bindings measure the machine and what it does alone.
#include "cllm/bench.h"

#include "bindings.h"
#include "cllm/machine.h"
#include "cllm/step_plan.h"
#include "value_class.h"

namespace cllm::python {
namespace {

void register_machine(py::module_& m) {
  ValueClass<KernelTime>(m, "KernelTime", "How long one call of a kernel takes.")
      .field("kernel", &KernelTime::kernel, "Name of the kernel.")
      .field("sizes", &KernelTime::sizes,
             "Products: m, n, k, KiB wandered through; attention: T, D; passes over rows:\n"
             "rows, columns, KiB; flat ranges: elements, KiB.")
      .field("nanoseconds", &KernelTime::nanoseconds, "Time of a call.")
      .field("bytes_moved", &KernelTime::bytes_moved,
             "Bytes read and written; 0: measured by an earlier version.")
      .field("operations", &KernelTime::operations,
             "Operations of products and attention; 0 for passes over memory.")
      .done();
  ValueClass<MachineRates>(m, "MachineRates",
                           "What each of so many workers reaches when all do the same at once.")
      .field("workers", &MachineRates::workers, "How many did the same.")
      .field("gemm_gflops", &MachineRates::gemm_gflops, "Rate of a large product.")
      .field("copy_gbs", &MachineRates::copy_gbs, "Rate of memcpy, bytes read and written.")
      .field("wake_us", &MachineRates::wake_us, "From a message to its sleeping reader.")
      .field("times", &MachineRates::times, "Times of the kernels.")
      .repr([](const MachineRates& rates) {
        return "<cllm.MachineRates: " + std::to_string(rates.workers) + " workers, " +
               std::to_string(rates.times.size()) + " kernel times>";
      })
      .done();
  py::class_<Machine>(m, "Machine", "What a machine does when nothing else is asked of it.")
      .def_static(
          "measure",
          [](const std::vector<std::int64_t>& workers, const std::string& gemm) {
            const py::gil_scoped_release released;
            return measure_machine(workers, gemm);
          },
          py::arg("workers"), py::kw_only(), py::arg("gemm") = "auto",
          "Measures with each of these numbers of workers: about three seconds for one of them.")
      .def_static("from_json", &parse_machine, py::arg("text"), py::arg("where") = "machine",
                  "Reads what to_json() gave; an error names `where`.")
      .def("to_json", &machine_json, "Returns everything as JSON.")
      .def_readonly("cpu", &Machine::cpu, "Name of the CPU.")
      .def_readonly("kernels", &Machine::kernels, "The instruction set.")
      .def_readonly("gemm", &Machine::gemm, "The backend of products.")
      .def_property_readonly("here", &measured_here,
                             "Whether it is of this CPU and the instruction set in use.")
      .def_readonly("rates", &Machine::rates, "Rates by number of workers, ascending.")
      .def(
          "__eq__",
          [](const Machine& machine, const py::object& other) -> py::object {
            if (!py::isinstance<Machine>(other)) {
              return py::reinterpret_borrow<py::object>(Py_NotImplemented);
            }
            return py::bool_(machine_json(machine) == machine_json(other.cast<const Machine&>()));
          },
          py::arg("other"))
      .def("__hash__",
           [](const Machine& machine) { return py::hash(py::str(machine_json(machine))); })
      .def(py::pickle(&machine_json,
                      [](const std::string& json) { return parse_machine(json, "pickle"); }))
      .def("__repr__", [](const Machine& machine) {
        return "<cllm.Machine: " + machine.cpu + ", " + machine.kernels + ">";
      });
}

py::dict parts_of(const StepTimes& times) {
  py::dict parts;
  for (const PartTime& part : times.parts) parts[py::str(part.name)] = part.milliseconds;
  return parts;
}

void set_parts(StepTimes& times, const py::handle& value) {
  times.parts.clear();
  for (const auto& [name, milliseconds] : value.cast<py::dict>()) {
    times.parts.push_back({name.cast<std::string>(), milliseconds.cast<double>()});
  }
}

void register_step_times(py::module_& m) {
  ValueClass<StepTimes>(m, "StepTimes", "How long training steps took, in milliseconds.")
      .field("workers", &StepTimes::workers, "Workers that computed.")
      .field("parameters", &StepTimes::parameters, "Weights of the model.")
      .field("steps", &StepTimes::steps, "Steps that were timed.")
      .field("milliseconds", &StepTimes::milliseconds, "The median of a step.")
      .field("least", &StepTimes::least, "The shortest step.")
      .field("most", &StepTimes::most, "The longest step.")
      .field("tokens_per_second", &StepTimes::tokens_per_second, "Tokens trained on in a second.")
      .field("gflops", &StepTimes::gflops, "1e9 operations a second.")
      .field("peak_gflops", &StepTimes::peak_gflops, "The most that one core alone reaches.")
      .field("mfu", &StepTimes::mfu, "Part of the active workers' peak, 0 to 1.")
      .field("messages", &StepTimes::messages, "Messages sent in a step.")
      .field("round_trip_ns", &StepTimes::round_trip_ns,
             "A word from the first worker's core to the one farthest from it and back,\n"
             "nanoseconds: some hundreds where they share no cache. 0: one worker, or not known.")
      .field("parts", &parts_of, &set_parts,
             "Milliseconds of worker time in further steps, by what they were spent on.")
      .field("parts_milliseconds", &StepTimes::parts_milliseconds, "The mean of those steps.")
      .done();
  m.def(
      "measure_step",
      [](const ModelConfig& model, std::int64_t batch, std::int64_t seq, std::int64_t workers,
         std::int64_t positions, const std::string& precision, const std::string& gemm,
         double seconds, std::int64_t steps, bool lattice) {
        const StepBench bench{model,     batch, seq,     workers, positions,
                              precision, gemm,  seconds, steps,   lattice};
        const py::gil_scoped_release released;
        return measure_step(bench);
      },
      py::arg("model"), py::kw_only(), py::arg("batch"), py::arg("seq") = 0, py::arg("workers") = 0,
      py::arg("positions") = 0, py::arg("precision") = "fp32", py::arg("gemm") = "auto",
      py::arg("seconds") = 3.0, py::arg("steps") = 0, py::arg("lattice") = false,
      "Trains a model of this shape on random tokens and times its steps. `seq` of 0 is the\n"
      "model's, `workers` of 0 the cores of this process; `steps` of 0 takes `seconds`. With\n"
      "`lattice` tokens are coupled.");
}

void register_forecast(py::module_& m) {
  ValueClass<StepForecast>(m, "StepForecast", "What a step would cost on a machine.")
      .field("workers", &StepForecast::workers, "Workers that compute.")
      .field("milliseconds", &StepForecast::milliseconds, "Time of the step.")
      .field("product_ms", &StepForecast::product_ms, "Worker time inside products.")
      .field("pass_ms", &StepForecast::pass_ms, "Worker time in everything else.")
      .field("waiting_ms", &StepForecast::waiting_ms, "Worker time spent waiting.")
      .field("messages", &StepForecast::messages, "Messages sent in the step.")
      .field("tiles", &StepForecast::tiles, "Tiles of the step.")
      .done();
  m.def("predict_step",
        py::overload_cast<const TrainConfig&, const Machine&, const std::string&>(&predict_step),
        py::arg("config"), py::arg("machine"), py::arg("where") = "machine",
        "Plays the step of plan_step(config) through with the times of the machine's kernels. An\n"
        "error names `where`.");
}

}  // namespace

void register_bench(py::module_& m) {
  register_machine(m);
  register_step_times(m);
  register_forecast(m);
}

}  // namespace cllm::python
