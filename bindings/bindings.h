// This header declares the parts of the extension module, one function each, and what they share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cllm/error.h"
#include "cllm/tensor.h"
#include "cllm/train_config.h"

namespace cllm::python {

namespace py = pybind11;

void register_errors(py::module_& m);
void register_options(py::module_& m);
void register_train_config(py::module_& m);
void register_trainer_config(py::module_& m);  // after that
void register_memory_data(py::module_& m);
void register_model_config(py::module_& m);
void register_plans(py::module_& m);  // after that
void register_reports(py::module_& m);
void register_model(py::module_& m);
void register_trainer(py::module_& m);
void register_stop_signals(py::module_& m);  // after the trainer
void register_bench(py::module_& m);
void register_token_files(py::module_& m);
void register_calls(py::module_& m);  // last: it changes what the others have made

/// Returns the bytes of a str or os.PathLike as the file system has them. Throws InputError, which
/// names the argument, for a zero byte in it; raises TypeError for anything else.
std::string path_text(const py::handle& path, const char* argument);
/// Returns the str of such bytes.
py::str path_object(const std::string& text);

/// Returns a configuration that Python cannot change.
py::object trainer_config(const TrainConfig& config);

/// Reads integers of any width and layout as tokens[rows, columns].
class TokenMatrix {
 public:
  /// Takes an array. Throws InputError, which names the argument, unless `object` is, or makes, an
  /// array of integers in two dimensions. It converts nothing yet: shapes are checked before memory
  /// is taken.
  TokenMatrix(const py::object& object, const char* argument);

  std::int64_t rows() const { return array_.shape(0); }
  std::int64_t columns() const { return array_.shape(1); }
  /// Returns the rows one after another. Throws InputError for a value that is no token of any
  /// vocabulary.
  std::vector<std::int32_t> values(std::int64_t vocabulary) const;
  /// Returns other numbers than tokens; `refusal` is of one that does not fit.
  std::vector<std::int32_t> values(const ErrorParts& refusal) const;

 private:
  py::array array_;
  const char* argument_;
};

/// Holds the first keys of a caller, if there are some.
class FirstKeys {
 public:
  /// Takes an array, or None. Throws InputError as TokenMatrix does, and for one that has not the
  /// shape of `inputs`, which is not empty.
  FirstKeys(const py::object& object, const TokenMatrix& inputs);
  /// Returns them, without data if there are none.
  TokenArray array() const { return array_; }

 private:
  std::vector<std::int32_t> values_;
  TokenArray array_;
};

/// Is the bound where the vocabulary is not known yet.
constexpr std::int64_t kAnyToken = std::int64_t{1} << 31;
/// Returns the tokens of a sequence, or of an array of one dimension. Throws InputError, which
/// names the argument, when there are none, or one is no token of the vocabulary.
std::vector<std::int32_t> token_list(const py::object& tokens, const char* argument,
                                     std::int64_t vocabulary);

/// Returns a value as a message shows it, which says little of one that cannot be written out.
std::string shown(const py::handle& value);

/// Returns a text in UTF-8. Throws InputError, which names the argument, for a lone surrogate.
std::string utf8_text(const py::str& text, const char* argument);

/// Returns the tensors as a dict of arrays that share their memory.
py::typing::Dict<py::str, py::array_t<float>> array_views(const std::vector<Tensor>& tensors);
py::typing::Dict<py::str, py::array_t<float>> array_views(const std::vector<ConstTensor>& tensors);

}  // namespace cllm::python
