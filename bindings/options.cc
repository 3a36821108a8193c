// The options bindings show Python the option table, and choose the words of errors.
#include "cllm/options.h"

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "cllm/error.h"
#include "cllm/generate_options.h"

namespace cllm::python {
namespace {

constexpr const char* kAttributes[] = {"name",    "key",          "type",        "group",
                                       "unit",    "help",         "default",     "choices",
                                       "aliases", "alias_values", "may_be_auto", "wanted"};

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

/// Adds what makes a row a value: its name says all of it.
void add_value(py::class_<Option>& cls) {
  cls.def(
         "__eq__",
         [](const Option& option, const py::object& other) -> py::object {
           if (!py::isinstance<Option>(other)) {
             return py::reinterpret_borrow<py::object>(Py_NotImplemented);
           }
           return py::bool_(option.name == other.cast<const Option&>().name);
         },
         py::arg("other"))
      .def("__hash__", [](const Option& option) { return py::hash(py::str(option.name)); })
      .def("__repr__", [](const Option& option) { return "<cllm.Option " + option.name + ">"; })
      .def(py::pickle([](const Option& option) { return option.name; },
                      [](const std::string& name) {
                        const Option* const option = find_option(name);
                        if (option == nullptr) {
                          throw InputError({"unknown option", name, "", "pickle",
                                            "it is of another version of cllm"});
                        }
                        return *option;
                      }))
      .def(
          "to_dict",
          [](const py::object& option) {
            py::dict found;
            for (const char* const name : kAttributes) {
              found[py::str(name)] = option.attr(name);
            }
            return found;
          },
          "Returns every attribute by its name.");
}

}  // namespace

void register_options(py::module_& m) {
  py::class_<Option> cls(m, "Option", "One row of the option table.");
  cls.def_readonly("name", &Option::name, "Name on the command line, without dashes: grad-accum.")
      .def_readonly("key", &Option::key, "Name in config.toml and TrainConfig: grad_accum.")
      .def_property_readonly(
          "type", [](const Option& o) { return type_name(o.type); },
          "\"text\", \"integer\", \"real\" or \"flag\".")
      .def_readonly("group", &Option::group, "Heading in the help.")
      .def_readonly("unit", &Option::unit, "Unit; \"\" when there is none.")
      .def_readonly("help", &Option::help, "What it is for: a phrase without a full stop.")
      .def_readonly("default", &Option::default_text, "The default's text.")
      .def_readonly("choices", &Option::choices, "What a text may be; empty: anything.")
      .def_property_readonly(
          "aliases",
          [](const Option& o) {
            std::vector<std::string> keys;
            for (const OptionAlias& alias : o.aliases) keys.push_back(alias.key);
            return keys;
          },
          "Other names that are accepted, as in TrainConfig: learning_rate.")
      .def_property_readonly(
          "alias_values",
          [](const Option& o) {
            std::map<std::string, std::string> values;
            for (const OptionAlias& alias : o.aliases) {
              if (!alias.value.empty()) values.emplace(alias.key, alias.value);
            }
            return values;
          },
          "Of aliases that are flags: the value that each stands for.")
      .def_property_readonly("may_be_auto", &may_be_auto, "Whether \"auto\" lets the run decide.")
      .def_property_readonly("explained", &Option::explained,
                             "Help, range, choices and other names, as a command's help says it.")
      .def_property_readonly("wanted", &Option::wanted, "What may be written.");
  add_value(cls);
  m.def(
      "options", [] { return options(); },
      "Returns every option of train_model, `cllm train` and TrainConfig, in the order of the\n"
      "help.");
  m.def("near_name", &near_name, py::arg("name"), py::arg("among"),
        "The one of these names that may be meant; \"\" when none is near.");
  m.def(
      "unknown_option_hint",
      [](const std::string& name, const std::vector<std::string>& more) {
        return unknown_option_hint(name, wording(), more);
      },
      py::arg("name"), py::arg("more"),
      "What to do about a name that is no option of the table, nor one of `more`.");
  m.def(
      "generate_options",
      [] {
        std::vector<std::tuple<std::string, std::vector<std::string>, std::string>> rows;
        for (const GenerateOption& option : generate_options()) {
          rows.emplace_back(option.name, option.aliases, option.explained());
        }
        return rows;
      },
      "Returns the options of `cllm generate`: name, other names, help.");
  m.def("unknown_generate_option_hint", &unknown_generate_option_hint, py::arg("name"),
        "What to do about a name that is no option of `cllm generate`.");
  m.def("refuse_repeated_option", &refuse_repeated_option, py::arg("first"), py::arg("second"),
        "Raises InputError because one option is given twice: by these names, as typed.");
  m.def(
      "check_prompt", [](const py::str& prompt) { check_prompt(path_text(prompt, "prompt")); },
      py::arg("prompt"), "Raises InputError for a prompt that names a file.");
  m.def(
      "option_word",
      [](const std::string& name, const std::string& value) {
        return value.empty() ? option_word(name) : option_word(name, value);
      },
      py::arg("name"), py::arg("value") = "",
      "Returns an option in the words of errors: --eval-every 5, or eval_every=5.");
  set_wording(Wording::kKeywords);
  m.def(
      "set_command_line_words",
      [](bool on) {
        const bool before = wording() == Wording::kCommandLine;
        set_wording(on ? Wording::kCommandLine : Wording::kKeywords);
        return before;
      },
      py::arg("on"), "Whether errors say --eval-every, or eval_every; returns what was before.");
}

}  // namespace cllm::python
