// The weights of a model are read from its folder, and every number of them is checked.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "model/layout.h"

namespace cllm {

/// Fills `out`[layout.flat_size()], padding with zeros, after checking the model's files against
/// the manifest where there is one. Accepts what `transformers` writes: names with or without the
/// family's prefix, one file or several, F32, F16 and BF16, constants that older versions stored,
/// and a head beside the embedding that it equals. Throws InputError for missing, unexpected or
/// misshapen tensors, for a tied head that differs from the embedding, and for values that are not
/// finite. `taken` is called with each tensor when all of it is there, and may move it elsewhere.
void read_model_parameters(const std::string& folder, const ParameterLayout& layout, float* out,
                           const std::function<void(const TensorEntry&)>& taken = nullptr);

/// Returns a tensor's shape as errors show it: "[2, 3]".
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Says which values stored tensors may have.
enum class Values { kFinite, kFiniteNotNegative };

/// Fills `out`[entry.size] from the tensor `name`, which must have the entry's shape, with the
/// errors of read_tensors.
void read_tensor(const SafetensorsFile& file, const std::string& name, const TensorEntry& entry,
                 Values values, float* out);

/// Fills `out`[table.flat_size()] from the tensors named `prefix` + name of one file. Throws
/// InputError naming the tensor, how many of its values are not allowed, and the first of them.
void read_tensors(const SafetensorsFile& file, const TensorTable& table, const std::string& prefix,
                  Values values, float* out);

}  // namespace cllm
