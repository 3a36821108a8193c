// A ValueClass binds a struct of fields as a Python value, much like a frozen dataclass: attributes
// that can be read, compared, copied, pickled and put into a dict.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bindings.h"

namespace cllm::python {

/// Returns what `to_dict` holds for a value: values inside it become dicts too.
py::object plain_value(const py::object& value);
/// Says whether two values are equal; NaN equals NaN, so that a copy equals its original.
bool same_value(const py::object& a, const py::object& b);

/// Returns a value that can be hashed and is equal where `value` is.
py::object hashable_value(const py::object& value);

/// Fields are named in the order of the struct. REQUIRES: T{} exists, and done() comes last.
template <class T>
class ValueClass {
 public:
  using Get = std::function<py::object(const T&)>;
  using Set = std::function<void(T&, const py::handle&)>;

  ValueClass(py::module_& m, const char* name, const char* doc)
      : name_(name), class_(m, name, doc) {}

  /// Adds a member.
  template <class Member>
  ValueClass& field(const char* name, Member T::* member, const char* doc = "") {
    class_.def_readonly(name, member, doc);
    return keep(
        name, [member](const T& value) { return py::cast(value.*member); },
        [member](T& value, const py::handle& to) { value.*member = to.cast<Member>(); });
  }
  /// Adds what `get` makes of the struct; `set` is its inverse, for pickle.
  template <class Getter>
  ValueClass& field(const char* name, const Getter& get, Set set, const char* doc = "") {
    class_.def_property_readonly(name, get, doc);
    return keep(
        name,
        [get](const T& value) -> py::object {
          if constexpr (std::is_base_of_v<py::object, decltype(get(value))>) {
            return get(value);
          } else {
            return py::cast(get(value));
          }
        },
        std::move(set));
  }
  /// Adds an attribute that follows from the fields.
  template <class Getter>
  ValueClass& derived(const char* name, const Getter& get, const char* doc = "") {
    class_.def_property_readonly(name, get, doc);
    return *this;
  }

  /// Adds such an attribute that `to_dict` has, too.
  template <class Getter>
  ValueClass& shown(const char* name, const Getter& get, const char* doc = "") {
    shown_->push_back({name, [get](const T& value) { return py::cast(get(value)); }, nullptr});
    return derived(name, get, doc);
  }

  /// Replaces the text that lists every field.
  ValueClass& repr(std::function<std::string(const T&)> text) {
    repr_ = std::move(text);
    return *this;
  }

  /// Adds what makes it a value, and returns the class.
  py::class_<T>& done() {
    const std::shared_ptr<const std::vector<Field>> fields = fields_;
    const auto values = [fields](const T& value) {
      py::dict found;
      for (const Field& each : *fields) found[py::str(each.name)] = each.get(value);
      return found;
    };
    class_.def(
        "__eq__",
        [fields](const T& value, const py::object& other) -> py::object {
          if (!py::isinstance<T>(other)) {
            return py::reinterpret_borrow<py::object>(Py_NotImplemented);
          }
          const auto& another = other.cast<const T&>();
          for (const Field& each : *fields) {
            if (!same_value(each.get(value), each.get(another))) return py::bool_(false);
          }
          return py::bool_(true);
        },
        py::arg("other"));
    class_.def("__hash__", [fields](const T& value) {
      py::list all;
      for (const Field& each : *fields) all.append(hashable_value(each.get(value)));
      return py::hash(py::tuple(all));
    });
    class_.def("__repr__", [fields, name = name_, own = repr_](const T& value) {
      if (own) return own(value);
      std::string text = name + "(";
      const char* separator = "";
      for (const Field& each : *fields) {
        text += separator + each.name + "=" + std::string(py::repr(each.get(value)));
        separator = ", ";
      }
      return text + ")";
    });
    class_.def(
        "to_dict",
        [fields, shown = std::shared_ptr<const std::vector<Field>>(shown_)](const T& value) {
          py::dict found;
          for (const auto& some : {fields, shown}) {
            for (const Field& each : *some) {
              found[py::str(each.name)] = plain_value(each.get(value));
            }
          }
          return found;
        },
        "Returns every field by its name; values inside are dicts too.");
    class_.def(py::pickle(values, [fields](const py::dict& state) {
      T value{};
      for (const Field& each : *fields) {
        if (state.contains(each.name)) each.set(value, state[py::str(each.name)]);
      }
      return value;
    }));
    return class_;
  }

 private:
  struct Field {
    std::string name;
    Get get;
    Set set;
  };

  ValueClass& keep(const char* name, Get get, Set set) {
    fields_->push_back({name, std::move(get), std::move(set)});
    return *this;
  }

  const std::string name_;
  py::class_<T> class_;
  std::function<std::string(const T&)> repr_;
  const std::shared_ptr<std::vector<Field>> fields_ = std::make_shared<std::vector<Field>>();
  const std::shared_ptr<std::vector<Field>> shown_ = std::make_shared<std::vector<Field>>();
};

}  // namespace cllm::python
