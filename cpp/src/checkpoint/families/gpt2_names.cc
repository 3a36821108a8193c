#include "checkpoint/families/gpt2_names.h"

#include <cstring>

namespace cllm {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

std::string without_prefix(const std::string& name) {
  return name.rfind(kModelPrefix, 0) == 0 ? name.substr(std::strlen(kModelPrefix)) : name;
}

bool is_mask_buffer(const std::string& name) {
  return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias");
}

}  // namespace cllm
