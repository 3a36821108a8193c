// The TrainConfig bindings make a property for every row of the option table.
#include "cllm/train_config.h"

#include <optional>
#include <utility>
#include <vector>

#include "arguments.h"
#include "cllm/error.h"
#include "cllm/memory_data.h"
#include "cllm/options.h"
#include "cllm/run_config.h"
#include "memory_data.h"

namespace cllm::python {
namespace {

using StringField = std::string TrainConfig::*;
using IntegerField = std::int64_t TrainConfig::*;
using RealField = double TrainConfig::*;
using FlagField = bool TrainConfig::*;

py::object value_of(const TrainConfig& config, const Option& option) {
  const std::string text = option_text(config, option);
  if (takes_data(option)) return data_of(config, text);
  if (option.type == OptionType::kString) return path_object(text);
  if (option.type == OptionType::kFlag) return py::bool_(text == "true");
  if (text == "auto") return py::str("auto");
  if (const auto* real = std::get_if<RealField>(&option.field)) return py::float_(config.*(*real));
  if (const auto* whole = std::get_if<IntegerField>(&option.field)) {
    return py::int_(config.*(*whole));
  }
  return py::int_(py::str(text));
}

/// Says whether the option's text is a list of names, which Python may give as one.
bool takes_names(const Option& option) { return option.unit == "NAMES"; }

/// Returns the names of a list, with commas between them; nothing for what is none.
std::optional<std::string> joined_names(const py::handle& value) {
  if (!py::isinstance<py::list>(value) && !py::isinstance<py::tuple>(value)) return std::nullopt;
  std::string text;
  for (const py::handle& name : value) {
    if (!py::isinstance<py::str>(name)) return std::nullopt;
    text += (text.empty() ? "" : ",") + name.cast<std::string>();
  }
  return text;
}

/// Returns a number in the form that the table reads; for anything else, a text that the table
/// refuses.
std::string number_text(const py::handle& value) {
  if (py::isinstance<py::bool_>(value)) return py::str(value);
  if (PyIndex_Check(value.ptr()) != 0) {
    const auto whole = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!whole) throw py::error_already_set();
    // Python writes no number of more than some thousand digits.
    if (whole.attr("bit_length")().cast<double>() > 1024)
      return "an integer of more than 300 digits";
    return py::str(whole);
  }
  if (PyFloat_Check(value.ptr()) != 0 ||
      (py::hasattr(value, "dtype") && py::hasattr(value, "__float__") &&
       py::str(value.attr("dtype").attr("kind")).cast<std::string>() == "f" &&
       value.attr("ndim").cast<int>() == 0)) {
    return py::repr(py::float_(PyFloat_AsDouble(value.ptr())));
  }
  return py::repr(value);
}

std::string text_of(const Option& option, const OptionAlias* alias, const py::handle& value) {
  const std::string& key = alias == nullptr ? option.key : alias->key;
  const bool is_flag =
      option.type == OptionType::kFlag || (alias != nullptr && !alias->value.empty());
  if (takes_names(option)) {
    if (const std::optional<std::string> names = joined_names(value)) return *names;
  }
  if (option.type == OptionType::kString && !is_flag) {
    if (py::isinstance<py::str>(value) || py::hasattr(value, "__fspath__")) {
      return path_text(value, key.c_str());
    }
    const bool is_true = value.ptr() == Py_True;
    throw InputError({"not text", std::string(py::repr(value)), option.wanted(), key,
                      is_true && option.name == "resume"
                          ? "name the run's folder: " + option_word(key, "RUN")
                      : value.is_none() || value.ptr() == Py_False ? "leave it out"
                                                                   : ""});
  }
  if (is_flag) {
    const std::string text = py::isinstance<py::str>(value) ? path_text(value, key.c_str()) : "";
    if (text == "true" || text == "false") return text;
    if (py::isinstance<py::bool_>(value)) return value.cast<bool>() ? "true" : "false";
    throw InputError({"not a yes or no", std::string(py::repr(value)), "True or False", key, ""});
  }
  if (py::isinstance<py::str>(value)) return path_text(value, key.c_str());
  return number_text(value);
}

/// Throws InputError that names every keyword that is no option.
void refuse_unknown(const py::kwargs& values) {
  std::vector<std::string> keys;
  for (const auto& [keyword, value] : values) {
    const std::string key = path_text(keyword, "TrainConfig");
    const auto [option, alias] = named_option(key);
    if (option == nullptr || (alias == nullptr ? option->key : alias->key) != key) {
      keys.push_back(key);
    }
  }
  if (keys.empty()) return;
  refuse_unknown_options(keys, "TrainConfig", [](const std::string& key) {
    return unknown_option_hint(key, Wording::kKeywords);
  });
}

/// Turns keywords into texts; keywords are keys, with underscores. Data in memory is put into the
/// configuration, and its name is the text.
std::vector<std::pair<std::string, std::string>> texts_of(TrainConfig& config,
                                                          const py::kwargs& values) {
  refuse_unknown(values);
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& [keyword, value] : values) {
    const std::string key = path_text(keyword, "TrainConfig");
    const auto [option, alias] = named_option(key);
    texts.emplace_back(key, takes_data(*option) ? hold_data(config, value, key.c_str())
                                                : text_of(*option, alias, value));
  }
  return texts;
}

void set_all(TrainConfig& config, const py::kwargs& values) {
  TrainConfig changed = config;
  set_options(changed, texts_of(changed, values));
  forget_unused_data(changed);
  config = std::move(changed);
}

/// Sets an attribute; a name that is no option gets the same hint as among the keywords.
void set_attribute(const py::object& self, const py::str& name, const py::object& value) {
  const std::string key = path_text(name, "name");
  if (!py::hasattr(py::type::of(self), name)) {
    throw py::attribute_error(Error::format({"unknown option", "\"" + key + "\"", "", "TrainConfig",
                                             unknown_option_hint(key, Wording::kKeywords)}));
  }
  if (PyObject_GenericSetAttr(self.ptr(), name.ptr(), value.ptr()) != 0) {
    throw py::error_already_set();
  }
}

/// Sets one option, by its key or an alias.
void set_value(TrainConfig& config, const Option& option, const OptionAlias* alias,
               const py::handle& value) {
  const std::string& key = alias == nullptr ? option.key : alias->key;
  if (!takes_data(option)) return set_option(config, key, text_of(option, alias, value));
  set_option(config, key, hold_data(config, value, key.c_str()));
  forget_unused_data(config);
}

TrainConfig configured(const py::kwargs& values) {
  TrainConfig config;
  set_all(config, values);
  return config;
}

bool is_default(const TrainConfig& config, const Option& option) {
  return option_text(config, option) == option.default_text;
}

std::string repr_of(const TrainConfig& config) {
  std::string text = "TrainConfig(";
  const char* separator = "";
  for (const Option& option : options()) {
    if (is_default(config, option)) continue;
    const std::string name = option_text(config, option);
    const bool in_memory = takes_data(option) && find_memory_data(config, name) != nullptr;
    text += separator + option.key + "=" +
            (in_memory ? "<" + name + ">" : std::string(py::repr(value_of(config, option))));
    separator = ", ";
  }
  return text + ")";
}

py::object equals(const TrainConfig& config, const py::object& other) {
  if (!py::isinstance<TrainConfig>(other)) {
    return py::reinterpret_borrow<py::object>(Py_NotImplemented);
  }
  const auto& another = other.cast<const TrainConfig&>();
  for (const Option& option : options()) {
    if (option_text(config, option) != option_text(another, option)) return py::bool_(false);
  }
  return py::bool_(true);
}

py::dict to_dict(const TrainConfig& config) {
  py::dict values;
  for (const Option& option : options()) values[py::str(option.key)] = value_of(config, option);
  return values;
}

/// Returns what makes the same configuration again, with the same options given.
py::dict given_values(const TrainConfig& config) {
  py::dict values;
  for (const Option& option : options()) {
    if (is_given(config, option)) values[py::str(option.key)] = value_of(config, option);
  }
  return values;
}

std::string describe(const Option& option) {
  std::string text = option.help;
  if (!option.unit.empty()) text += " (" + option.unit + ")";
  const bool is_path = option.type == OptionType::kString && option.choices.empty();
  const std::string accepted = takes_data(option) ? kAcceptedData
                               : takes_names(option)
                                   ? "names with commas between, or a list of them"
                               : is_path ? "a path"
                                         : option.wanted();
  if (option.name == "log-every" || option.name == "verbose" || option.name == "quiet") {
    text += "; with run(progress=True)";
  }
  text += ". Accepts " + accepted + "; the default is " +
          (option.default_text.empty() ? "none" : option.default_text) + ".";
  for (const OptionAlias& alias : option.aliases) {
    text += (&alias == &option.aliases.front() ? " Also `" : ", `") + alias.key + "`";
  }
  return option.aliases.empty() ? text : text + ".";
}

/// Makes a configuration; texts of a command line may be paths, which hold any bytes.
TrainConfig configure(const std::vector<std::pair<py::str, py::str>>& given,
                      const OptionalPath& config_file) {
  GivenOptions options;
  for (const auto& [name, value] : given) {
    options.given.emplace_back(path_text(name, "given"), path_text(value, "given"));
  }
  if (!config_file.is_none()) options.config_file = path_text(config_file, "config_file");
  return run_config(options);
}

void add_alias(py::class_<TrainConfig>& cls, const Option& option, const OptionAlias& alias) {
  const Option* const row = &option;
  const OptionAlias* const name = &alias;
  cls.def_property(
      alias.key.c_str(),
      [=](const TrainConfig& config) -> py::object {
        if (name->value.empty()) return value_of(config, *row);
        return py::bool_(option_text(config, *row) == name->value);
      },
      [=](TrainConfig& config, const py::object& value) { set_value(config, *row, name, value); },
      (alias.value.empty() ? "Another name of `" + option.key + "`."
                           : "Whether `" + option.key + "` is " + alias.value + ".")
          .c_str());
}

}  // namespace

void register_train_config(py::module_& m) {
  py::class_<TrainConfig> cls(
      m, "TrainConfig",
      "Everything that a training run can be told, by the keys of config.toml.\n\n"
      "Values are checked when they are assigned; \"auto\" lets the run decide where an option\n"
      "accepts it. TrainConfig(data=\"text.txt\", out=\"run\", steps=500)");
  cls.def(py::init(&configured));
  for (const Option& option : options()) {
    const Option* const row = &option;
    cls.def_property(
        option.key.c_str(), [row](const TrainConfig& config) { return value_of(config, *row); },
        [row](TrainConfig& config, const py::object& value) {
          set_value(config, *row, nullptr, value);
        },
        describe(option).c_str());
    for (const OptionAlias& alias : option.aliases) add_alias(cls, option, alias);
  }
  cls.def("__repr__", &repr_of);
  cls.def("__eq__", &equals, py::arg("other"));
  cls.attr("__hash__") = py::none();
  cls.def("to_dict", &to_dict, "Returns every key with its value; other names are left out.");
  cls.def(
      "replace",
      [](const TrainConfig& config, const py::kwargs& changes) {
        TrainConfig changed = config;
        set_all(changed, changes);
        return changed;
      },
      "Returns a copy with other values for some keys; those that are not given stay.");
  cls.def("__setattr__", &set_attribute, py::arg("name"), py::arg("value"));
  cls.def(
      "to_toml", [](const TrainConfig& config) { return path_object(to_toml(config)); },
      "Returns a config.toml with help as comments, without `resume` and `overwrite`.");
  cls.def_static(
      "from_toml",
      [](const py::str& text) {
        TrainConfig config;
        apply_toml(config, path_text(text, "text"), "config.toml");
        return config;
      },
      py::arg("text"), "Returns the defaults with the `key = value` lines of a config.toml.");
  cls.def(py::pickle(&given_values, [](const py::dict& values) {
    return configured(py::reinterpret_borrow<py::kwargs>(values));
  }));
  m.def("configure", &configure, py::arg("given"), py::kw_only(),
        py::arg("config_file") = py::none(),
        "What a command line means: (name, text) pairs over a config file over the defaults; with\n"
        "`resume`, over what the run was started with. Checked as a whole.");
}

}  // namespace cllm::python
