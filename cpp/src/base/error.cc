#include "cllm/error.h"

namespace cllm {

std::string Error::format(const ErrorParts& parts) {
  std::string text;
  if (!parts.where.empty()) text += parts.where + ": ";
  text += parts.what;
  if (!parts.seen.empty()) text += ": got " + parts.seen;
  if (!parts.wanted.empty())
    text += (parts.seen.empty() ? ": expected " : ", expected ") + parts.wanted;
  if (!parts.hint.empty()) text += " (" + parts.hint + ")";
  return text;
}

}  // namespace cllm
