// The options bindings show Python the option table.
#include "cllm/options.h"

#include "bindings.h"

namespace cllm::python {
namespace {

const char* type_name(OptionType type) {
  switch (type) {
    case OptionType::kString:
      return "text";
    case OptionType::kInteger:
      return "integer";
    case OptionType::kReal:
      return "real";
    case OptionType::kFlag:
      return "flag";
  }
  return "";
}

bool may_be_auto(const Option& option) {
  return option.automatic.has_value() ||
         (option.type == OptionType::kInteger &&
          std::holds_alternative<std::string TrainConfig::*>(option.field));
}

}  // namespace

void register_options(py::module_& m) {
  py::class_<Option>(m, "Option", "One row of the option table.")
      .def_readonly("name", &Option::name, "On the command line, without dashes: grad-accum.")
      .def_readonly("key", &Option::key, "In config.toml and TrainConfig: grad_accum.")
      .def_property_readonly(
          "type", [](const Option& o) { return type_name(o.type); },
          "\"text\", \"integer\", \"real\" or \"flag\".")
      .def_readonly("group", &Option::group, "Heading in the help.")
      .def_readonly("unit", &Option::unit, "\"\" when there is none.")
      .def_readonly("help", &Option::help, "A phrase without a full stop.")
      .def_readonly("default", &Option::default_text, "The default's text.")
      .def_readonly("choices", &Option::choices, "Of a text; empty: any.")
      .def_property_readonly("may_be_auto", &may_be_auto, "Whether \"auto\" lets the run decide.")
      .def_property_readonly("wanted", &Option::wanted, "What may be written.")
      .def("__repr__", [](const Option& o) { return "<cllm.Option " + o.name + ">"; });
  m.def(
      "options", [] { return options(); },
      "Every option of train_model, `cllm train` and TrainConfig, in the order of the help.");
}

}  // namespace cllm::python
