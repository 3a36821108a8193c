// These functions turn NumPy arrays into tokens for the engine, and tensors of the engine into
// views.
#include <limits>
#include <memory>

#include "arguments.h"
#include "cllm/error.h"

namespace cllm::python {
namespace {

/// `refusal` is of a number that does not fit; its value and place are added.
template <class T>
std::vector<std::int32_t> narrowed(const py::array& array, ErrorParts refusal) {
  const auto wide = py::array_t<T, py::array::c_style | py::array::forcecast>::ensure(array);
  if (!wide) throw py::error_already_set();
  const auto size = static_cast<std::size_t>(wide.size());
  const auto columns = static_cast<std::size_t>(wide.shape(1));
  std::vector<std::int32_t> tokens(size);
  for (std::size_t i = 0; i < size; ++i) {
    const T value = wide.data()[i];
    tokens[i] = static_cast<std::int32_t>(value);
    // The engine checks values that fit, because it knows which tokens are valid.
    if (tokens[i] >= 0 ? static_cast<T>(tokens[i]) == value
                       : std::is_signed_v<T> && static_cast<T>(tokens[i]) == value) {
      continue;
    }
    refusal.seen = std::to_string(value);
    refusal.where += "[" + std::to_string(i / columns) + ", " + std::to_string(i % columns) + "]";
    throw InputError(refusal);
  }
  return tokens;
}

template <class T>
Arrays views(const std::vector<TensorRef<T>>& tensors) {
  Arrays arrays;
  for (const TensorRef<T>& tensor : tensors) {
    using Owner = std::shared_ptr<T>;
    py::capsule owner(new Owner(tensor.data), [](void* held) { delete static_cast<Owner*>(held); });
    py::array array(py::dtype::of<float>(), tensor.shape, tensor.data.get(), owner);
    if (std::is_const_v<T>) array.attr("setflags")(py::arg("write") = false);
    arrays[py::str(tensor.name)] = array;
  }
  return arrays;
}

}  // namespace

std::string path_text(const py::handle& path, const char* argument) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), static_cast<void*>(&bytes)) == 0) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Clear();
      throw py::type_error(
          Error::format({"not a path", shown(path), "a str or an os.PathLike", argument, ""}));
    }
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw py::error_already_set();
    PyErr_Clear();
    throw InputError(
        {"text holds what no path can", shown(path), "no zero character", argument, ""});
  }
  const auto owner = py::reinterpret_steal<py::bytes>(bytes);
  return std::string(owner);
}

py::str path_object(const std::string& text) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<py::ssize_t>(text.size())));
}

TokenMatrix::TokenMatrix(const py::object& object, const char* argument) : argument_(argument) {
  try {
    array_ = py::isinstance<py::array>(object)
                 ? py::reinterpret_borrow<py::array>(object)
                 : py::array(py::module_::import("numpy").attr("asarray")(object));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError) &&
        !error.matches(PyExc_OverflowError)) {
      throw;
    }
    throw InputError({"not an array", py::str(error.value()), "integers [B, T]", argument, ""});
  }
  const char kind = array_.dtype().kind();
  if (array_.ndim() != 2) {
    throw InputError({"wrong number of dimensions", std::to_string(array_.ndim()),
                      "2: sequences and their tokens", argument,
                      array_.ndim() == 1 ? "one sequence is array[None, :]" : ""});
  }
  if (kind != 'i' && kind != 'u') {
    throw InputError({"tokens are not integers",
                      "dtype " + std::string(py::str(py::object(array_.dtype()))),
                      "an integer dtype", argument, ""});
  }
}

std::vector<std::int32_t> TokenMatrix::values(std::int64_t vocabulary) const {
  return values({"token outside the vocabulary", "", "0 to " + std::to_string(vocabulary - 1),
                 argument_, "was the text encoded with another tokenizer?"});
}

std::vector<std::int32_t> TokenMatrix::values(const ErrorParts& refusal) const {
  const bool wide = array_.dtype().kind() == 'u' && array_.itemsize() == 8;
  return wide ? narrowed<std::uint64_t>(array_, refusal) : narrowed<std::int64_t>(array_, refusal);
}

FirstKeys::FirstKeys(const py::object& object, const TokenMatrix& inputs) {
  if (object.is_none()) return;
  const TokenMatrix matrix(object, "first_keys");
  const std::int64_t rows = inputs.rows(), columns = inputs.columns();
  if (matrix.rows() != rows || matrix.columns() != columns) {
    const auto shape = [](std::int64_t B, std::int64_t T) {
      return "[" + std::to_string(B) + ", " + std::to_string(T) + "]";
    };
    throw InputError({"first_keys have another shape than inputs",
                      shape(matrix.rows(), matrix.columns()), shape(rows, columns), "first_keys",
                      ""});
  }
  values_ =
      matrix.values({"no document begins there", "", "0 to " + std::to_string(columns - 1),
                     "first_keys", "each token has the index of the first token of its document"});
  array_ = {values_.data(), rows, columns};
}

std::vector<std::int32_t> token_list(const py::object& tokens, const char* argument,
                                     std::int64_t vocabulary) {
  constexpr std::size_t kMost = std::size_t{1} << 32;
  py::object array = tokens;
  if (!py::isinstance<py::array>(array)) {
    if (!py::hasattr(array, "__iter__")) {
      throw InputError({"not tokens", shown(array), "ids of tokens", argument, ""});
    }
    array = py::list(array);
  }
  const std::size_t count = py::len(array);
  if (count == 0 || count > kMost) {
    throw InputError({count == 0 ? "no tokens" : "too many tokens", std::to_string(count),
                      "1 to " + std::to_string(kMost), argument, ""});
  }
  if (!py::isinstance<py::array>(array)) {
    py::list rows;
    rows.append(array);
    return TokenMatrix(rows, argument).values(vocabulary);
  }
  const auto ndim = array.attr("ndim").cast<int>();
  if (ndim != 1) {
    throw InputError(
        {"wrong number of dimensions", std::to_string(ndim), "1: tokens", argument, ""});
  }
  const py::module_ numpy = py::module_::import("numpy");
  return TokenMatrix(numpy.attr("expand_dims")(array, 0), argument).values(vocabulary);
}

std::string utf8_text(const py::str& text, const char* argument) {
  py::ssize_t size = 0;
  const char* const bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes != nullptr) return {bytes, static_cast<std::size_t>(size)};
  PyErr_Clear();
  throw InputError(
      {"text that UTF-8 cannot write", shown(text), "no lone surrogates", argument, ""});
}

std::string shown(const py::handle& value) {
  try {
    return py::repr(value);
  } catch (const py::error_already_set&) {  // an integer of thousands of digits
    return "a " + std::string(py::str(py::type::handle_of(value).attr("__name__")));
  }
}

std::optional<double> number_or_none(const OptionalNumber& value, const char* argument) {
  if (value.is_none()) return std::nullopt;
  const double number = py::isinstance<py::str>(value) ? 0 : PyFloat_AsDouble(value.ptr());
  if (PyErr_Occurred() == nullptr && !py::isinstance<py::str>(value)) return number;
  PyErr_Clear();
  throw py::type_error(
      Error::format({"not a number", shown(value), "a number, or None", argument, ""}));
}

Arrays array_views(const std::vector<Tensor>& tensors) { return views(tensors); }
Arrays array_views(const std::vector<ConstTensor>& tensors) { return views(tensors); }

}  // namespace cllm::python
