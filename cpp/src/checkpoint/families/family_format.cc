#include "checkpoint/families/family_format.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace cllm {

const FamilyFormat& format_of(Family family) noexcept {
  static const std::array<const FamilyFormat*, 4> all = {&kGpt2Format, &kLlamaFormat, &kQwen2Format,
                                                         &kQwen3Format};
  return *all[static_cast<std::size_t>(family)];
}

std::string without_prefix(const FamilyFormat& format, const std::string& name) {
  return name.rfind(format.prefix, 0) == 0 ? name.substr(std::strlen(format.prefix)) : name;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace cllm
