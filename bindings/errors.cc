// The errors bindings turn exceptions of the engine into Python's, with their texts.
#include <system_error>
#include <utility>

#include "bindings.h"
#include "cllm/error.h"

namespace cllm::python {
namespace {

// They are never freed, because exceptions may be raised while the interpreter ends.
PyObject* error_class = nullptr;
PyObject* input_error_class = nullptr;

PyObject* new_exception(py::module_& m, const char* name, const char* doc, PyObject* bases) {
  const std::string full = std::string("cllm.") + name;
  PyObject* const type = PyErr_NewExceptionWithDoc(full.c_str(), doc, bases, nullptr);
  if (type == nullptr) throw py::error_already_set();
  m.add_object(name, type);
  return type;
}

/// Raises `type`; texts may hold names of files in any encoding.
void raise(PyObject* type, const char* text) {
  const py::object message = path_object(text);
  PyErr_SetObject(type, message.ptr());
}

}  // namespace

void register_errors(py::module_& m) {
  error_class = new_exception(m, "CllmError", "Any failure of the engine.", PyExc_RuntimeError);
  const py::tuple bases = py::make_tuple(py::handle(error_class), py::handle(PyExc_ValueError));
  input_error_class = new_exception(
      m, "InputError",
      "A value, file or array that cannot be: the text says what, seen, wanted and where.",
      bases.ptr());
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(std::move(pointer));
    } catch (const InputError& error) {
      raise(input_error_class, error.what());
    } catch (const Error& error) {
      raise(error_class, error.what());
    } catch (const std::system_error& error) {  // no more threads, or a file system that refuses
      raise(error_class, error.what());
    }
  });
}

}  // namespace cllm::python
