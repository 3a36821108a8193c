// These functions turn option values into text and back: strictly, without a locale, exactly in
// both directions.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <system_error>

#include "base/given_names.h"
#include "cllm/error.h"
#include "cllm/options.h"

namespace cllm {
namespace {

using StringField = std::string TrainConfig::*;
using IntegerField = std::int64_t TrainConfig::*;
using RealField = double TrainConfig::*;
using FlagField = bool TrainConfig::*;

/// Messages quote at most so many characters of a value.
constexpr std::size_t kShown = 200;

[[noreturn]] void refuse(const char* what, const std::string& value, const std::string& wanted,
                         const std::string& where, const std::string& hint = "") {
  const std::string shown = value.size() > kShown ? value.substr(0, kShown) + "..." : value;
  throw InputError(ErrorParts{what, "\"" + shown + "\"", wanted, where, hint});
}

[[noreturn]] void refuse(const Option& option, const std::string& value, const std::string& where,
                         const std::string& hint = "") {
  const char* what = option.type == OptionType::kString    ? "not one of the choices"
                     : option.type == OptionType::kInteger ? "not an integer in range"
                                                           : "not a number in range";
  refuse(what, value, option.wanted(), where, hint);
}

/// Returns what a value of another program is called here; "" for others.
std::string advice_on(const Option& option, const std::string& value) {
  static const std::map<std::string, std::string> same = {{"float32", "fp32"},
                                                          {"float", "fp32"},
                                                          {"no", "fp32"},
                                                          {"bfloat16", "bf16"},
                                                          {"constant_with_warmup", "constant"},
                                                          {"cosine_with_min_lr", "cosine"},
                                                          {"warmup_stable_decay", "wsd"}};
  if (option.name == "steps" && value.rfind('-', 0) == 0) {
    return "leave it out, or say the passes over the data: " + option_word("epochs", "N");
  }
  const auto known = same.find(value);
  const auto& choices = option.choices;
  const bool is_choice = known != same.end() &&
                         std::find(choices.begin(), choices.end(), known->second) != choices.end();
  const std::string near = is_choice ? known->second : near_name(value, choices);
  return near.empty() ? "" : "did you mean \"" + near + "\"?";
}

/// Reads a whole text as one number; a leading plus is allowed, as in TOML. Returns false when it
/// is not one.
template <class T>
bool read(const std::string& text, T& value) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (text.size() > 1 && *begin == '+' && begin[1] != '-') ++begin;
  const auto result = std::from_chars(begin, end, value);
  return result.ec == std::errc() && result.ptr == end;
}

std::int64_t integer(const Option& option, const std::string& text, const std::string& where) {
  std::int64_t value = 0;
  if (!read(text, value)) {
    double real = 0;
    const bool whole = read(text, real) && std::isfinite(real) && real == std::floor(real) &&
                       std::abs(real) < 9e15;
    refuse(option, text, where,
           whole ? "write " + std::to_string(static_cast<std::int64_t>(real)) : "");
  }
  if (!option.range.holds(static_cast<double>(value))) {
    refuse(option, text, where, advice_on(option, text));
  }
  return value;
}

double real(const Option& option, const std::string& text, const std::string& where) {
  double value = 0;
  if (!read(text, value) || !std::isfinite(value) || !option.range.holds(value)) {
    refuse(option, text, where);
  }
  return value;
}

bool flag(const std::string& text, const std::string& where) {
  if (text == "true" || text == "True") return true;  // as Python writes it
  if (text != "false" && text != "False") refuse("not a yes or no", text, "true or false", where);
  return false;
}

bool clears(const Option& option) { return option.name.rfind("no-", 0) == 0; }

template <class T>
std::string shortest(T value) {
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

/// Returns the shortest text that reads back to the same double and is a float in TOML.
std::string real_text(double value) {
  std::string text = shortest(value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

namespace {

void set_value(TrainConfig& config, const Option& option, const std::string& value,
               const std::string& where) {
  const bool is_auto = value == "auto";
  if (const auto* text = std::get_if<StringField>(&option.field)) {
    if (option.type == OptionType::kInteger) {
      config.*(*text) = is_auto ? value : shortest(integer(option, value, where));
      return;
    }
    bool known = option.choices.empty();
    for (const std::string& choice : option.choices) known = known || choice == value;
    if (!known) refuse(option, value, where, advice_on(option, value));
    config.*(*text) = value;
  } else if (const auto* whole = std::get_if<IntegerField>(&option.field)) {
    config.*(*whole) =
        is_auto && option.automatic ? *option.automatic : integer(option, value, where);
  } else if (const auto* number = std::get_if<RealField>(&option.field)) {
    config.*(*number) = is_auto && option.automatic ? static_cast<double>(*option.automatic)
                                                    : real(option, value, where);
  } else {
    config.*std::get<FlagField>(option.field) = flag(value, where) != clears(option);
  }
}

/// Returns a name in this process's wording, not replaced by another name of the option.
std::string as_typed(const std::string& name) {
  static const std::map<std::string, std::string> no_names;
  const GivenNames plain(no_names);
  return option_word(name);
}

}  // namespace

void set_option(TrainConfig& config, const std::string& name, const std::string& value,
                const std::string& where) {
  const auto [option, alias] = named_option(name);
  if (option == nullptr) {
    throw InputError(ErrorParts{"unknown option", "\"" + name + "\"", "", where,
                                unknown_option_hint(name, wording())});
  }
  const std::string place = where.empty() ? as_typed(name) : where;
  if (alias != nullptr && !alias->value.empty()) {
    const bool means_it = flag(value, place);
    set_value(config, *option, means_it ? alias->value : option->default_text, place);
  } else {
    set_value(config, *option, value, place);
  }
  config.given.insert(option->name);
  config.aliases.erase(option->name);
  if (alias != nullptr) config.aliases[option->name] = name;
}

void refuse_repeated_option(const std::string& first, const std::string& second) {
  if (first == second) throw InputError({"given twice", "", "once", first, ""});
  throw InputError(
      {"two names of one option are given", "", "one of them", first + " and " + second, ""});
}

void set_options(TrainConfig& config,
                 const std::vector<std::pair<std::string, std::string>>& given) {
  std::map<const Option*, std::string> names;
  for (const auto& [name, value] : given) {
    set_option(config, name, value);
    const auto [first, is_new] = names.emplace(find_option(name), name);
    if (!is_new) refuse_repeated_option(as_typed(first->second), as_typed(name));
  }
}

bool is_given(const TrainConfig& config, const Option& option) {
  return config.given.count(option.name) > 0 || option_text(config, option) != option.default_text;
}

std::string option_text(const TrainConfig& config, const Option& option) {
  const auto is_auto = [&](auto value) {
    if (!option.automatic) return false;
    const auto sentinel = static_cast<decltype(value)>(*option.automatic);
    return value == sentinel || (sentinel < 0 && value < 0);
  };
  if (const auto* text = std::get_if<StringField>(&option.field)) return config.*(*text);
  if (const auto* whole = std::get_if<IntegerField>(&option.field)) {
    return is_auto(config.*(*whole)) ? "auto" : shortest(config.*(*whole));
  }
  if (const auto* number = std::get_if<RealField>(&option.field)) {
    return is_auto(config.*(*number)) ? "auto" : real_text(config.*(*number));
  }
  return config.*std::get<FlagField>(option.field) != clears(option) ? "true" : "false";
}

}  // namespace cllm
