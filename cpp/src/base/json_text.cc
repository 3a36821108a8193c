#include "base/json_text.h"

#include <algorithm>

#include "base/files.h"
#include "cllm/error.h"

namespace cllm {
namespace {

struct JsonExtent {
  int depth = 0;
  std::size_t keys = 0;
};

JsonExtent measure(std::string_view text) noexcept {
  JsonExtent most;
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      most.depth = std::max(most.depth, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ':') {
      ++most.keys;
    }
  }
  return most;
}

void check_size(std::size_t size, std::size_t most, const std::string& where) {
  if (size <= most) return;
  throw InputError({"too large for what it should be", std::to_string(size) + " bytes",
                    "at most " + std::to_string(most), where, ""});
}

}  // namespace

void check_json_text(std::string_view text, const std::string& where, const JsonLimits& limits) {
  check_size(text.size(), limits.bytes, where);
  const JsonExtent extent = measure(text);
  if (extent.depth > limits.depth) {
    throw InputError({"JSON is nested too deeply", std::to_string(extent.depth) + " levels",
                      "at most " + std::to_string(limits.depth), where, ""});
  }
  if (extent.keys > limits.keys) {
    throw InputError({"JSON has too many keys", std::to_string(extent.keys),
                      "at most " + std::to_string(limits.keys), where, ""});
  }
}

std::string read_json_file(const std::string& path) {
  std::size_t size = 0;
  open_for_reading(path, &size);
  check_size(size, kMostJsonBytes, path);
  std::string text = read_text_file(path);
  check_json_text(text, path);
  return text;
}

}  // namespace cllm
