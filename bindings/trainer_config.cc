// A trainer's configuration is a TrainConfig that cannot be changed.
#include "bindings.h"
#include "cllm/train_config.h"

namespace cllm::python {
namespace {

/// Is a type of its own, so that Python can tell it from one that may be assigned to.
struct TrainerConfig : TrainConfig {
  explicit TrainerConfig(const TrainConfig& config) : TrainConfig(config) {}
};

[[noreturn]] void refuse_change(const TrainerConfig&, const std::string& name,
                                const py::object& value) {
  const std::string change = name + "=" + std::string(py::repr(value));
  throw py::attribute_error("trainer.config cannot be changed, because the run is planned: for " +
                            change + " make another trainer from trainer.config.replace(" + change +
                            ")");
}

}  // namespace

py::object trainer_config(const TrainConfig& config) { return py::cast(TrainerConfig(config)); }

void register_trainer_config(py::module_& m) {
  py::class_<TrainerConfig, TrainConfig>(
      m, "TrainerConfig",
      "The configuration of a trainer, with every \"auto\" decided. It cannot be changed; copies\n"
      "and replace() give a TrainConfig.")
      .def("__setattr__", &refuse_change, py::arg("name"), py::arg("value"))
      .def(
          "__reduce_ex__",
          [](const TrainerConfig& config, int) {
            const auto plain =
                py::cast(static_cast<const TrainConfig&>(config), py::return_value_policy::copy);
            const py::object make = py::module_::import("functools").attr("partial");
            const py::dict state = plain.attr("__getstate__")();
            return py::make_tuple(make(py::type::of(plain), **state), py::tuple());
          },
          py::arg("protocol"));
}

}  // namespace cllm::python
