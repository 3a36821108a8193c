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

bool is_mapping(const py::handle& value) {
  return py::isinstance(value, py::module_::import("collections.abc").attr("Mapping"));
}

/// Refuses what can be iterated over, but would give something else than its contents.
void check_container(const py::handle& value, const char* argument) {
  const char* hint = nullptr;
  if (is_mapping(value) || py::hasattr(value, "columns") || py::hasattr(value, "column_names")) {
    const bool encoded =
        py::hasattr(value, "__contains__") && value.attr("__contains__")("input_ids").cast<bool>();
    hint = encoded ? "give one of its values, such as data[\"input_ids\"]"
                   : "give one of its values, such as data[\"text\"]";
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

bool is_bytes(const py::handle& item) {
  return py::isinstance<py::bytes>(item) || py::isinstance<py::bytearray>(item);
}

std::string bytes_of(const py::handle& item) {
  return py::module_::import("builtins").attr("bytes")(item).cast<std::string>();
}

bool is_text(const py::handle& item) { return py::isinstance<py::str>(item) || is_bytes(item); }

/// Says whether an item is a row of ids, as a tokenizer gives them for each of several texts.
bool is_row(const py::handle& item) {
  if (is_text(item) || PyAnySet_Check(item.ptr()) != 0) return false;
  if (py::hasattr(item, "ndim")) return item.attr("ndim").cast<int>() > 0;
  return py::hasattr(item, "__iter__");
}

/// Returns the ids of all rows, one row after another; rows may be of different lengths.
MemoryData::Pointer from_rows(const py::list& rows, const char* argument) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string place = std::string(argument) + "[" + std::to_string(i) + "]";
    if (!is_row(rows[i])) {
      throw InputError({"not a row of ids", shown(rows[i]), "rows only, or ids only", place, ""});
    }
    const bool is_array = py::hasattr(rows[i], "__array__");
    const py::object ids_of_row = is_array ? py::object(rows[i]) : py::list(rows[i]);
    if (py::len(ids_of_row) == 0) continue;
    const std::vector<std::int32_t> row = token_list(ids_of_row, place.c_str(), kAnyToken);
    ids.insert(ids.end(), row.begin(), row.end());
  }
  return MemoryData::tokens(ids, argument);
}

/// Returns documents or ids of any iterable.
MemoryData::Pointer from_items(const py::handle& value, const char* argument) {
  check_container(value, argument);
  py::list items;
  try {
    items = py::list(py::reinterpret_borrow<py::object>(value));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    throw InputError({"not data", shown(value), kAcceptedData, argument, ""});
  }
  if (!items.empty() && is_mapping(items[0])) {
    throw InputError({"not a text", "a " + type_name(items[0]), "texts or ids of tokens",
                      std::string(argument) + "[0]",
                      "give the values of one key, such as [row[\"text\"] for row in data]"});
  }
  if (!items.empty() && is_row(items[0])) return from_rows(items, argument);
  if (items.empty() || !is_text(items[0])) {
    return MemoryData::tokens(token_list(items, argument, kAnyToken), argument);
  }
  if (are_files(items)) {
    throw InputError({"these are names of files", shown(value), kAcceptedData, argument,
                      "join the files, or give a list of what they hold"});
  }
  std::vector<std::string> documents;
  for (const py::handle& item : items) {
    if (is_bytes(item)) {
      documents.push_back(bytes_of(item));
      continue;
    }
    if (!py::isinstance<py::str>(item)) {
      throw InputError({"not a text", shown(item), "texts only, or ids only",
                        std::string(argument) + "[" + std::to_string(documents.size()) + "]", ""});
    }
    documents.push_back(utf8_text(item.cast<py::str>(), argument));
  }
  return MemoryData::documents(documents, argument);
}

/// Returns a str; bytes where the text is not UTF-8.
py::object decoded(const std::string& text) {
  const py::bytes bytes(text);
  try {
    return bytes.attr("decode")("utf-8");
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_UnicodeDecodeError)) throw;
    return bytes;
  }
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
  if (is_bytes(value)) return MemoryData::text(bytes_of(value), argument);
  if (py::hasattr(value, "__array__")) {
    const py::object array = py::module_::import("numpy").attr("asarray")(value);
    const auto kind = array.attr("dtype").attr("kind").cast<std::string>();
    if (kind != "O" && kind != "U" && kind != "T") {
      const bool rows = array.attr("ndim").cast<int>() == 2;
      return MemoryData::tokens(
          token_list(rows ? array.attr("ravel")() : array, argument, kAnyToken), argument);
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
  if (data->kind == MemoryData::Kind::kDocuments) {
    py::list documents;
    for (const std::string& document : data->documents()) documents.append(decoded(document));
    return std::move(documents);
  }
  if (data->kind == MemoryData::Kind::kTokens) {
    const std::vector<std::int32_t> ids = data->tokens();
    return py::array_t<std::int32_t>(static_cast<py::ssize_t>(ids.size()), ids.data());
  }
  return decoded(data->bytes);
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
