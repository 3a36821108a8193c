#include "checkpoint/model_weights.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/finite.h"
#include "checkpoint/families/family_format.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/weight_files.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr const char* kBelongHint = "do config.json and the weights belong together?";

/// Says whether a float violates `values`, by its bits, so that the loop becomes vector code.
bool is_wrong(float value, std::uint32_t sign) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const bool negative = (bits & sign) != 0 && (bits & 0x7FFFFFFFu) != 0;
  return !is_finite(value) || negative;
}

void check_values(const SafetensorsFile& file, const StoredTensor& tensor, Values values,
                  const float* data) {
  const std::uint32_t sign = values == Values::kFiniteNotNegative ? 0x80000000u : 0;
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < tensor.elements; ++i) wrong += is_wrong(data[i], sign) ? 1 : 0;
  if (wrong == 0) return;
  const float* const first =
      std::find_if(data, data + tensor.elements, [sign](float v) { return is_wrong(v, sign); });
  throw InputError({"values that cannot be",
                    std::to_string(wrong) + " of " + std::to_string(tensor.elements) +
                        ", the first is number " + std::to_string(first - data) + ": " +
                        std::to_string(*first),
                    sign == 0 ? "finite numbers" : "finite numbers that are not negative",
                    file.path() + ": tensor \"" + tensor.name + "\"",
                    "what computed them went wrong; an earlier checkpoint may be whole"});
}

/// Reads the tensor of one entry, which begins at out[0].
void read_checked(const SafetensorsFile& file, const StoredTensor& tensor, const TensorEntry& entry,
                  Values values, float* out) {
  if (tensor.shape != entry.shape) {
    throw InputError({"tensor has another shape than config.json says", shape_text(tensor.shape),
                      shape_text(entry.shape), file.path() + ": tensor \"" + tensor.name + "\"",
                      ""});
  }
  file.read(tensor, out);
  check_values(file, tensor, values, out);
}

[[noreturn]] void refuse_missing(const std::string& path, const std::string& name) {
  throw InputError(
      {"tensor is missing", "none of that name", "\"" + name + "\"", path, kBelongHint});
}

/// A model's weights under the names of its family, each with or without the prefix.
class NamedWeights {
 public:
  NamedWeights(const WeightFiles& files, const ParameterLayout& layout, const ModelConfig& config)
      : files_(files), layout_(layout), config_(config), format_(format_of(config.family)) {}

  void read(float* out, const std::function<void(const TensorEntry&)>& taken) const {
    check_nothing_else();
    std::int64_t end = 0;  // of what is written
    for (const TensorEntry& entry : layout_.tensors()) {
      if (entry.coupling) continue;
      std::fill(out + end, out + entry.offset, 0.0f);
      end = entry.offset + entry.size;
      const FoundTensor found = find(entry.name);
      if (!found) refuse_missing(files_.path(), entry.name);
      read_checked(*found.file, *found.tensor, entry, Values::kFinite, out + entry.offset);
      if (config_.tied_head && entry.offset == layout_.token_embedding()) check_head(entry, out);
      if (entry.frozen) check_bias(entry, out);
      if (taken) taken(entry);
    }
    std::fill(out + end, out + layout_.flat_size(), 0.0f);
  }

 private:
  FoundTensor find(const std::string& name) const {
    const FoundTensor found = files_.find(name);
    return found ? found : files_.find(without_prefix(format_, name));
  }

  /// Checks that everything in the files is part of the model: a tensor left over means that
  /// config.json describes another model (with fewer layers, for instance).
  void check_nothing_else() const {
    std::vector<std::string> known = {kHeadName};
    for (const TensorEntry& entry : layout_.tensors()) {
      if (!entry.coupling) known.push_back(without_prefix(format_, entry.name));
    }
    std::sort(known.begin(), known.end());
    for (const auto& file : files_.files()) {
      for (const StoredTensor& tensor : file->tensors()) {
        const std::string name = without_prefix(format_, tensor.name);
        const bool is_known = std::binary_search(known.begin(), known.end(), name);
        const bool twice = is_known && name != tensor.name && files_.find(name);
        if ((is_known && !twice) || format_.is_constant(name)) continue;
        throw InputError({twice ? "tensor is there under both of its names"
                                : "tensor does not belong to the model",
                          "\"" + tensor.name + "\"",
                          std::string("the tensors of a ") + family_name(config_.family) +
                              " language model of config.json's size",
                          file->path(), kBelongHint});
      }
    }
  }

  /// The engine computes the logits of such a model with the embedding. A stored head must
  /// therefore equal it, because other programs may use the head that they find.
  void check_head(const TensorEntry& embedding, const float* parameters) const {
    const FoundTensor head = find(format_.prefix + std::string(kHeadName));
    if (!head) return;
    bool equal = head.tensor->shape == embedding.shape;
    if (equal) {
      std::vector<float> values(static_cast<std::size_t>(embedding.size));
      head.file->read(*head.tensor, values.data());
      equal = std::equal(values.begin(), values.end(), parameters + embedding.offset);
    }
    if (!equal) {
      throw InputError({"model has an output head of its own",
                        std::string(kHeadName) + " unlike " + embedding.name,
                        "equal values (a tied head)", head.file->path(),
                        "config.json says that they are tied, the weights say otherwise"});
    }
  }

  void check_bias(const TensorEntry& entry, const float* values) const {
    const float* const first = values + entry.offset;
    if (std::all_of(first, first + entry.size, [](float v) { return v == 0; })) return;
    throw InputError({"bias in a model without biases", "values other than 0", "zeros",
                      files_.path() + ": tensor \"" + entry.name + "\"",
                      "set \"bias\" under \"cllm\" in config.json to true"});
  }

  const WeightFiles& files_;
  const ParameterLayout& layout_;
  const ModelConfig& config_;
  const FamilyFormat& format_;
};

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

void read_tensor(const SafetensorsFile& file, const std::string& name, const TensorEntry& entry,
                 Values values, float* out) {
  const StoredTensor* const tensor = file.find(name);
  if (tensor == nullptr) refuse_missing(file.path(), name);
  read_checked(file, *tensor, entry, values, out);
}

void read_tensors(const SafetensorsFile& file, const TensorTable& table, const std::string& prefix,
                  Values values, float* out) {
  std::fill(out, out + table.flat_size(), 0.0f);
  for (const TensorEntry& entry : table.tensors()) {
    read_tensor(file, prefix + entry.name, entry, values, out + entry.offset);
  }
}

void read_model_parameters(const std::string& folder, const ParameterLayout& layout, float* out,
                           const std::function<void(const TensorEntry&)>& taken) {
  const WeightFiles files(folder);
  std::vector<std::string> needed = weight_file_names(folder);
  needed.push_back("config.json");
  verify_files(folder, needed, {kWeightIndexName});
  NamedWeights(files, layout, read_model_config(folder).config).read(out, taken);
}

}  // namespace cllm
