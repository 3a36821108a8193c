// An option says in words what it accepts and what it is for.
#include <algorithm>
#include <charconv>

#include "cllm/options.h"
#include "config/count_limit.h"

namespace cllm {
namespace {

std::string number(double value) {
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

}  // namespace

bool OptionRange::holds(double value) const noexcept {
  if (or_zero && value == 0) return true;
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string OptionRange::text() const {
  if (or_zero) {
    OptionRange rest = *this;
    rest.or_zero = false;
    return "0, or " + rest.text();
  }
  if (high >= kCountLimit) return (low_open ? "above " : "of at least ") + number(low);
  if (!low_open && !high_open) return "from " + number(low) + " to " + number(high);
  return (low_open ? "above " : "at least ") + number(low) + " and " +
         (high_open ? "below " : "at most ") + number(high);
}

std::string OptionAlias::name() const {
  std::string text = key;
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

std::string Option::wanted() const {
  if (!choices.empty()) {
    std::string text = choices.front();
    for (std::size_t i = 1; i < choices.size(); ++i) {
      text += (i + 1 == choices.size() ? " or " : ", ") + choices[i];
    }
    return text;
  }
  if (type == OptionType::kString) return "text";
  if (type == OptionType::kFlag) return "true or false";
  const bool has_auto = automatic || std::holds_alternative<std::string TrainConfig::*>(field);
  OptionRange rest = range;
  rest.or_zero = false;
  return std::string(has_auto ? "auto, or " : "") + (range.or_zero ? "0, or " : "") +
         (type == OptionType::kInteger ? "an integer " : "a number ") + rest.text();
}

std::string Option::explained() const {
  std::string text = help;
  const bool is_number = type == OptionType::kInteger || type == OptionType::kReal;
  const std::string accepted = is_number ? range.text() : "";
  if (is_number) text += "; " + accepted.substr(accepted.rfind("of ", 0) == 0 ? 3 : 0);
  if (!choices.empty()) text += ": " + wanted();
  for (const OptionAlias& alias : aliases) {
    text += (&alias == &aliases.front() ? "; also --" : ", --") + alias.name();
  }
  return text;
}

}  // namespace cllm
