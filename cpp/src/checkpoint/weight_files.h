// A model's weights lie in one safetensors file, or in several that an index names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace cllm {

constexpr const char* kWeightsName = "model.safetensors";
constexpr const char* kWeightIndexName = "model.safetensors.index.json";

/// Returns the file of each tensor that an index names. Throws InputError, naming `where`, for what
/// is no index, and for names that are no safetensors files beside it.
std::map<std::string, std::string> parse_weight_index(const std::string& text,
                                                      const std::string& where);

/// Returns the names of the folder's files of weights; none when it has no weights. Where there are
/// both one file and an index, the one file counts, as in `transformers`.
std::vector<std::string> weight_file_names(const std::string& folder);

/// A tensor and the file that holds it, or neither.
struct FoundTensor {
  const SafetensorsFile* file = nullptr;
  const StoredTensor* tensor = nullptr;
  explicit operator bool() const noexcept { return tensor != nullptr; }
};

/// Holds a model's files open for reading.
class WeightFiles {
 public:
  /// Throws InputError when there are no weights, when a file is damaged or missing, and unless
  /// every tensor lies in the one file that the index names for it.
  explicit WeightFiles(const std::string& folder);

  /// Returns the file, or the index of several.
  const std::string& path() const noexcept { return path_; }
  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const noexcept { return files_; }
  FoundTensor find(const std::string& name) const noexcept;

 private:
  std::string path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
};

}  // namespace cllm
