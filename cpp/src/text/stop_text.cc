#include "cllm/stop_text.h"

#include <algorithm>
#include <utility>

#include "base/refuse.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

/// Returns how many bytes at the end of `text` may be the start of `stop`.
std::size_t begun(const std::string& text, const std::string& stop) {
  for (std::size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size) {
    if (text.compare(text.size() - size, size, stop, 0, size) == 0) return size;
  }
  return 0;
}

}  // namespace

StopText::StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    if (stop.empty()) refuse("nothing to stop at", "an empty text", "text", option_word("stop"));
  }
}

std::string StopText::add(const std::string& piece) {
  if (is_over_) return "";
  kept_ += piece;
  std::size_t end = kept_.npos, open = 0;
  for (const std::string& stop : stops_) {
    end = std::min(end, kept_.find(stop));
    open = std::max(open, begun(kept_, stop));
  }
  if (end != kept_.npos) {
    is_over_ = true;
    return std::exchange(kept_, "").substr(0, end);
  }
  std::string certain = kept_.substr(0, kept_.size() - open);
  kept_.erase(0, certain.size());
  return certain;
}

std::string StopText::finish() { return std::exchange(kept_, ""); }

}  // namespace cllm
