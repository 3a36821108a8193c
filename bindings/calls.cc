// Calls that do not fit get one line in the words of cllm, in place of pybind11's list of C++
// signatures. pybind11 has no hook for it: what all of its functions call is replaced by a function
// that calls it, and has the text made anew when it raises that TypeError. Functions, their
// documentation and the way of a call that fits stay the same.
#include <cstring>

#include "bindings.h"

namespace cllm::python {
namespace {

using Call = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);

Call pybind_call = nullptr;      // the same for all functions of this module
initproc pybind_init = nullptr;  // of classes without a constructor

/// Raises the TypeError of cllm._calls for pybind11's.
void raise_again(const py::error_already_set& error, PyObject* const* args, Py_ssize_t count,
                 PyObject* names) {
  py::tuple given(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    given[static_cast<std::size_t>(i)] = py::reinterpret_borrow<py::object>(args[i]);
  }
  py::dict keywords;
  for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
    keywords[py::handle(PyTuple_GET_ITEM(names, i))] =
        py::reinterpret_borrow<py::object>(args[count + i]);
  }
  const py::object explain = py::module_::import("cllm._calls").attr("explain");
  const py::object text = explain(py::str(error.value()), given, keywords);
  PyErr_SetObject(PyExc_TypeError, text.ptr());
}

PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* const result = pybind_call(self, args, count, names);
  if (result != nullptr || PyErr_ExceptionMatches(PyExc_TypeError) == 0) return result;
  py::error_already_set error;
  // An error of Python code that was called, such as a callback, has a traceback and stays.
  if (error.trace() ||
      std::strstr(error.what(), " arguments. The following argument types are supported:") ==
          nullptr) {
    error.restore();
    return nullptr;
  }
  try {
    raise_again(error, args, count, names);
  } catch (py::error_already_set& another) {
    another.restore();
  }
  return nullptr;
}

int refuse_making(PyObject* self, PyObject*, PyObject*) {
  const char* const full = Py_TYPE(self)->tp_name;
  const char* const dot = std::strrchr(full, '.');
  PyErr_Format(PyExc_TypeError, "%s: cannot be made by hand: it is what cllm returns",
               dot == nullptr ? full : dot + 1);
  return -1;
}

void replace_call(const py::handle& function) {
  py::handle plain = function;
  if (PyInstanceMethod_Check(plain.ptr()) != 0) plain = PyInstanceMethod_Function(plain.ptr());
  if (PyCFunction_Check(plain.ptr()) == 0) return;
  PyObject* const record = PyCFunction_GET_SELF(plain.ptr());
  if (record == nullptr || py::detail::function_record_ptr_from_PyObject(record) == nullptr) return;
  PyMethodDef* const definition = reinterpret_cast<PyCFunctionObject*>(plain.ptr())->m_ml;
  if (definition->ml_flags != (METH_FASTCALL | METH_KEYWORDS)) return;
  const auto now = reinterpret_cast<Call>(reinterpret_cast<void (*)()>(definition->ml_meth));
  if (now == &call) return;
  pybind_call = now;
  definition->ml_meth = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call));
}

void replace_calls_of(const py::handle& cls) {
  auto* const type = reinterpret_cast<PyTypeObject*>(cls.ptr());
  const py::object members = cls.attr("__dict__");
  for (const py::handle& member : members.attr("values")()) {
    for (const char* const part : {"fget", "fset", "__func__"}) {
      if (py::hasattr(member, part)) replace_call(member.attr(part));
    }
    replace_call(member);
  }
  if (type->tp_init == pybind_init) type->tp_init = &refuse_making;
}

}  // namespace

void register_calls(py::module_& m) {
  PyObject* const base = py::detail::get_internals().instance_base;
  pybind_init = reinterpret_cast<PyTypeObject*>(base)->tp_init;
  for (const auto& [name, thing] : py::dict(m.attr("__dict__"))) {
    if (PyType_Check(thing.ptr()) != 0) {
      replace_calls_of(thing);
    } else {
      replace_call(thing);
    }
  }
}

}  // namespace cllm::python
