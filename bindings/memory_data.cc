#include "memory_data.h"

#include <algorithm>

#include "cllm/error.h"

namespace cllm::python {
namespace {

constexpr std::size_t kLongestName = 255;  // bytes, on every usual file system
constexpr std::size_t kLongestPath = 4095;
bool can_be_path(const std::string& text) {
  if (text.find('\n') != std::string::npos || text.size() > kLongestPath) return false;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    if (end - begin > kLongestName) return false;
    begin = end + 1;
  }
  return true;
}

std::string type_name(const py::handle& value) {
  return py::type::handle_of(value).attr("__name__").cast<std::string>();
}

/// Refuses what can be iterated over, but would give something else than its contents.
void check_container(const py::handle& value, const char* argument) {
  const char* hint = nullptr;
  const py::object mapping = py::module_::import("collections.abc").attr("Mapping");
  if (py::isinstance(value, mapping) || py::hasattr(value, "columns")) {
    hint = "give one of its values, such as data[\"text\"]";
  }
  if (PyAnySet_Check(value.ptr()) != 0) hint = "a set has no order: give a list";
  if (py::hasattr(value, "read")) hint = "give its path, or what read() returns";
  if (hint != nullptr) {
    throw InputError({"not data", "a " + type_name(value), kAcceptedData, argument, hint});
  }
}

/// Says whether every item is the name of a file.
bool are_files(const py::list& items) {
  const py::object is_file = py::module_::import("os.path").attr("isfile");
  return std::all_of(items.begin(), items.end(), [&](const py::handle& item) {
    return py::isinstance<py::str>(item) && is_file(item).cast<bool>();
  });
}

/// Returns documents or ids of any iterable.
MemoryData::Pointer from_items(const py::handle& value, const char* argument) {
  check_container(value, argument);
  py::list items;
  try {
    items = py::list(py::reinterpret_borrow<py::object>(value));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    throw InputError({"not data", py::repr(value), kAcceptedData, argument, ""});
  }
  if (items.empty() || !py::isinstance<py::str>(items[0])) {
    return MemoryData::tokens(token_list(items, argument, kAnyToken), argument);
  }
  if (are_files(items)) {
    throw InputError({"these are names of files", py::repr(value), kAcceptedData, argument,
                      "join the files, or give a list of what they hold"});
  }
  std::vector<std::string> documents;
  for (const py::handle& item : items) {
    if (!py::isinstance<py::str>(item)) {
      throw InputError({"not a text", py::repr(item), "texts only, or ids only",
                        std::string(argument) + "[" + std::to_string(documents.size()) + "]", ""});
    }
    documents.push_back(utf8_text(item.cast<py::str>(), argument));
  }
  return MemoryData::documents(documents, argument);
}

}  // namespace

MemoryData::Pointer data_in_memory(const py::handle& value, const char* argument) {
  if (py::hasattr(value, "__fspath__")) return nullptr;
  if (py::isinstance<py::str>(value)) {
    // What UTF-8 cannot write is a path that Python has decoded.
    const auto bytes = py::str(value).attr("encode")("utf-8", "surrogatepass").cast<std::string>();
    if (can_be_path(bytes)) return nullptr;
    return MemoryData::text(utf8_text(value.cast<py::str>(), argument), argument);
  }
  if (py::isinstance<py::bytes>(value) || py::isinstance<py::bytearray>(value)) {
    return MemoryData::text(py::bytes(py::reinterpret_borrow<py::object>(value)), argument);
  }
  if (py::hasattr(value, "__array__")) {
    const py::object array = py::module_::import("numpy").attr("asarray")(value);
    const auto kind = array.attr("dtype").attr("kind").cast<std::string>();
    if (kind != "O" && kind != "U" && kind != "T") {
      return MemoryData::tokens(token_list(array, argument, kAnyToken), argument);
    }
  }
  return from_items(value, argument);
}

bool takes_data(const Option& option) { return option.name == "data" || option.name == "val"; }

std::string hold_data(TrainConfig& config, const py::handle& value, const char* argument) {
  const MemoryData::Pointer data = data_in_memory(value, argument);
  if (!data) return path_text(value, argument);
  if (!find_memory_data(config, data->name)) config.in_memory.push_back(data);
  return data->name;
}

void forget_unused_data(TrainConfig& config) {
  std::vector<MemoryData::Pointer> used;
  for (MemoryData::Pointer& each : config.in_memory) {
    if (each->name == config.data || each->name == config.validation) used.push_back(each);
  }
  config.in_memory = std::move(used);
}

py::object data_of(const TrainConfig& config, const std::string& name) {
  const MemoryData::Pointer data = find_memory_data(config, name);
  if (!data) return path_object(name);
  if (data->kind == MemoryData::Kind::kDocuments) return py::cast(data->documents());
  if (data->kind == MemoryData::Kind::kTokens) {
    const std::vector<std::int32_t> ids = data->tokens();
    return py::array_t<std::int32_t>(static_cast<py::ssize_t>(ids.size()), ids.data());
  }
  const py::bytes bytes(data->bytes);
  try {
    return bytes.attr("decode")("utf-8");
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_UnicodeDecodeError)) throw;
    return bytes;
  }
}

void register_memory_data(py::module_& m) {
  m.def(
      "is_text",
      [](const py::str& text) {
        const py::object bytes = text.attr("encode")("utf-8", "surrogatepass");
        return !can_be_path(bytes.cast<std::string>());
      },
      py::arg("text"),
      "Says whether a str that stands for data is a text, because it cannot be a path: it has a\n"
      "line break, or a name that is longer than file systems allow.");
}

}  // namespace cllm::python
