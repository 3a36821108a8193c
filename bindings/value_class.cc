#include "value_class.h"

namespace cllm::python {

py::object plain_value(const py::object& value) {
  if (py::hasattr(value, "to_dict")) return value.attr("to_dict")();
  if (!py::isinstance<py::list>(value)) return value;
  py::list all;
  for (const py::handle& each : value) {
    all.append(plain_value(py::reinterpret_borrow<py::object>(each)));
  }
  return std::move(all);
}

bool same_value(const py::object& a, const py::object& b) {
  const auto is_nan = [](const py::object& x) {
    return PyFloat_Check(x.ptr()) != 0 && PyFloat_AS_DOUBLE(x.ptr()) != PyFloat_AS_DOUBLE(x.ptr());
  };
  return a.equal(b) || (is_nan(a) && is_nan(b));
}

py::object hashable_value(const py::object& value) {
  if (py::isinstance<py::dict>(value)) return py::tuple(value.attr("items")());
  if (py::isinstance<py::list>(value)) return py::tuple(value);
  return value;
}

}  // namespace cllm::python
