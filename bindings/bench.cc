// The bench bindings measure the machine and what it does alone.
#include "cllm/bench.h"

#include "bindings.h"
#include "cllm/machine.h"
#include "cllm/step_plan.h"

namespace cllm::python {
namespace {

void register_machine(py::module_& m) {
  py::class_<KernelTime>(m, "KernelTime", "How long one call of a kernel takes.")
      .def_readonly("kernel", &KernelTime::kernel)
      .def_readonly("sizes", &KernelTime::sizes,
                    "Products: m, n, k, KiB wandered through; attention: T, D; passes over rows: "
                    "rows, columns, KiB; flat ranges: elements, KiB.")
      .def_readonly("nanoseconds", &KernelTime::nanoseconds)
      .def_readonly("bytes_moved", &KernelTime::bytes_moved,
                    "Read and written. 0: measured by an earlier version.")
      .def_readonly("operations", &KernelTime::operations,
                    "Of products and attention; 0 of passes over memory.");
  py::class_<MachineRates>(m, "MachineRates",
                           "What each of so many workers reaches when all do the same at once.")
      .def_readonly("workers", &MachineRates::workers)
      .def_readonly("gemm_gflops", &MachineRates::gemm_gflops, "Of a large product.")
      .def_readonly("copy_gbs", &MachineRates::copy_gbs, "Of memcpy, bytes read and written.")
      .def_readonly("wake_us", &MachineRates::wake_us, "From a message to its sleeping reader.")
      .def_readonly("times", &MachineRates::times);
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
                  "What to_json() gave; an error names `where`.")
      .def("to_json", &machine_json)
      .def_readonly("cpu", &Machine::cpu)
      .def_readonly("kernels", &Machine::kernels, "The instruction set.")
      .def_readonly("gemm", &Machine::gemm, "The backend of products.")
      .def_property_readonly("here", &measured_here,
                             "Whether it is of this CPU and the instruction set in use.")
      .def_readonly("rates", &Machine::rates, "By number of workers, ascending.")
      .def("__repr__", [](const Machine& machine) {
        return "<cllm.Machine: " + machine.cpu + ", " + machine.kernels + ">";
      });
}

void register_step_times(py::module_& m) {
  py::class_<StepTimes>(m, "StepTimes", "How long training steps took, in milliseconds.")
      .def_readonly("workers", &StepTimes::workers, "The active ones.")
      .def_readonly("parameters", &StepTimes::parameters)
      .def_readonly("steps", &StepTimes::steps, "That were timed.")
      .def_readonly("milliseconds", &StepTimes::milliseconds, "The median.")
      .def_readonly("least", &StepTimes::least)
      .def_readonly("most", &StepTimes::most)
      .def_readonly("tokens_per_second", &StepTimes::tokens_per_second)
      .def_readonly("gflops", &StepTimes::gflops)
      .def_readonly("peak_gflops", &StepTimes::peak_gflops, "Of one core alone.")
      .def_readonly("mfu", &StepTimes::mfu, "Of the active workers' peak, 0 to 1.")
      .def_readonly("messages", &StepTimes::messages, "Sent in a step.")
      .def_readonly("round_trip_ns", &StepTimes::round_trip_ns,
                    "A word from the first worker's core to the one farthest from it and back, "
                    "nanoseconds: some hundreds where they share no cache. 0: one worker, or not "
                    "known.")
      .def_property_readonly(
          "parts",
          [](const StepTimes& t) {
            py::dict parts;
            for (const PartTime& part : t.parts) parts[py::str(part.name)] = part.milliseconds;
            return parts;
          },
          "Milliseconds of worker time in further steps, by what they were spent on.")
      .def_readonly("parts_milliseconds", &StepTimes::parts_milliseconds,
                    "The mean of those steps.")
      .def("__repr__", [](const StepTimes& t) {
        return "<cllm.StepTimes: " + std::to_string(t.milliseconds) + " ms a step>";
      });
  m.def(
      "measure_step",
      [](const ModelConfig& model, std::int64_t batch, std::int64_t seq, std::int64_t workers,
         std::int64_t positions, const std::string& precision, const std::string& gemm,
         double seconds, std::int64_t steps) {
        const StepBench bench{model,     batch, seq,     workers, positions,
                              precision, gemm,  seconds, steps};
        const py::gil_scoped_release released;
        return measure_step(bench);
      },
      py::arg("model"), py::kw_only(), py::arg("batch"), py::arg("seq") = 0, py::arg("workers") = 0,
      py::arg("positions") = 0, py::arg("precision") = "fp32", py::arg("gemm") = "auto",
      py::arg("seconds") = 3.0, py::arg("steps") = 0,
      "Trains a model of this shape on random tokens and times its steps. `seq` of 0 is the "
      "model's, "
      "`workers` of 0 the cores of this process; `steps` of 0 takes `seconds`.");
}

void register_forecast(py::module_& m) {
  py::class_<StepForecast>(m, "StepForecast", "What a step would cost on a machine.")
      .def_readonly("workers", &StepForecast::workers, "The active ones.")
      .def_readonly("milliseconds", &StepForecast::milliseconds, "Of the step.")
      .def_readonly("product_ms", &StepForecast::product_ms, "Of worker time, inside products.")
      .def_readonly("pass_ms", &StepForecast::pass_ms, "Of worker time, in everything else.")
      .def_readonly("waiting_ms", &StepForecast::waiting_ms, "Of worker time.")
      .def_readonly("messages", &StepForecast::messages)
      .def_readonly("tiles", &StepForecast::tiles)
      .def("__repr__", [](const StepForecast& f) {
        return "<cllm.StepForecast: " + std::to_string(f.milliseconds) + " ms>";
      });
  m.def("predict_step",
        py::overload_cast<const TrainConfig&, const Machine&, const std::string&>(&predict_step),
        py::arg("config"), py::arg("machine"), py::arg("where") = "machine",
        "Plays the step of plan_step(config) through with the times of the machine's kernels. An "
        "error names `where`.");
}

}  // namespace

void register_bench(py::module_& m) {
  register_machine(m);
  register_step_times(m);
  register_forecast(m);
}

}  // namespace cllm::python
