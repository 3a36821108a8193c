// These arguments take any object; what they accept is written here once, for signatures and stubs.
#pragma once

#include <optional>

#include "bindings.h"

namespace cllm::python {

/// Is an argument that its function checks itself.
struct Argument : py::object {
  using py::object::object;
  Argument() = default;
  explicit Argument(const py::object& any) : py::object(any) {}
  static bool check_(const py::handle&) { return true; }
};

struct PathArgument : Argument {
  using Argument::Argument;
};
struct OptionalPath : Argument {
  using Argument::Argument;
};
struct DataArgument : Argument {  ///< as hold_data takes it
  using Argument::Argument;
};
struct OptionalData : Argument {
  using Argument::Argument;
};
struct TokensArgument : Argument {
  using Argument::Argument;
};
struct OptionalTokens : Argument {
  using Argument::Argument;
};
struct AnyArgument : Argument {
  using Argument::Argument;
};
struct OptionalNumber : Argument {
  using Argument::Argument;
};
struct ScalingArgument : Argument {
  using Argument::Argument;
};
struct StepListener : Argument {
  using Argument::Argument;
};
struct EvaluationListener : Argument {
  using Argument::Argument;
};
struct TextListener : Argument {
  using Argument::Argument;
};

/// Returns the number; nothing for None. Raises TypeError, which names the argument, for anything
/// else.
std::optional<double> number_or_none(const OptionalNumber& value, const char* argument);

/// Are arrays by the name of their tensor.
using Arrays = py::typing::Dict<py::str, py::array_t<float>>;

}  // namespace cllm::python

namespace pybind11::detail {

template <>
struct handle_type_name<cllm::python::PathArgument> {
  static constexpr auto name = const_name("str | os.PathLike[str]");
};
template <>
struct handle_type_name<cllm::python::OptionalPath> {
  static constexpr auto name = const_name("str | os.PathLike[str] | None");
};
/// Is the type of what hold_data() takes.
constexpr auto kDataType = const_name(
    "str | os.PathLike[str] | bytes | numpy.typing.NDArray[numpy.integer[typing.Any]] | "
    "collections.abc.Iterable[str] | collections.abc.Iterable[bytes] | "
    "collections.abc.Iterable[int] | collections.abc.Iterable[collections.abc.Sequence[int]]");
template <>
struct handle_type_name<cllm::python::DataArgument> {
  static constexpr auto name = kDataType;
};
template <>
struct handle_type_name<cllm::python::OptionalData> {
  static constexpr auto name = kDataType + const_name(" | None");
};
template <>
struct handle_type_name<cllm::python::TokensArgument> {
  static constexpr auto name = const_name("numpy.typing.ArrayLike");
};
template <>
struct handle_type_name<cllm::python::OptionalTokens> {
  static constexpr auto name = const_name("numpy.typing.ArrayLike | None");
};
template <>
struct handle_type_name<cllm::python::AnyArgument> {
  static constexpr auto name = const_name("typing.Any");
};
template <>
struct handle_type_name<cllm::python::OptionalNumber> {
  static constexpr auto name = const_name("float | None");
};
template <>
struct handle_type_name<cllm::python::ScalingArgument> {
  static constexpr auto name = const_name("dict[str, typing.Any] | None");
};
template <>
struct handle_type_name<cllm::python::StepListener> {
  static constexpr auto name =
      const_name("collections.abc.Callable[[cllm._cllm.StepReport], object] | None");
};
template <>
struct handle_type_name<cllm::python::EvaluationListener> {
  static constexpr auto name =
      const_name("collections.abc.Callable[[cllm._cllm.EvaluationReport], object] | None");
};
template <>
struct handle_type_name<cllm::python::TextListener> {
  static constexpr auto name = const_name("collections.abc.Callable[[str], object] | None");
};

}  // namespace pybind11::detail
