// The rows of the option table are written as sentences: a name, a field, help, and what its value
// may be.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cllm/options.h"
#include "cllm/train_config.h"

namespace cllm {

/// Has chained setters, so that a row of the table reads as a sentence.
struct OptionRow {
  Option option;

  OptionRow unit(const char* text) && { return option.unit = text, std::move(*this); }
  OptionRow at_least(double low) && { return option.range.low = low, std::move(*this); }
  OptionRow above(double low) && {
    return option.range.low = low, option.range.low_open = true, std::move(*this);
  }
  OptionRow at_most(double high) && { return option.range.high = high, std::move(*this); }
  OptionRow below(double high) && {
    return option.range.high = high, option.range.high_open = true, std::move(*this);
  }
  OptionRow or_zero() && { return option.range.or_zero = true, std::move(*this); }
  OptionRow choices(std::vector<std::string> texts) && {
    return option.choices = std::move(texts), std::move(*this);
  }
  OptionRow automatic(std::int64_t value) && { return option.automatic = value, std::move(*this); }
  OptionRow on_resume() && { return option.on_resume = true, std::move(*this); }
  /// Adds names that other programs have for the option; they are accepted.
  OptionRow aliases(std::vector<std::string> keys) && {
    for (std::string& key : keys) option.aliases.push_back({std::move(key), ""});
    return std::move(*this);
  }
  /// Adds a flag that stands for one value.
  OptionRow alias_of(const char* value, const char* key) && {
    return option.aliases.push_back({key, value}), std::move(*this);
  }
  /// Adds words that are not accepted, because they mean something near by or nothing exactly.
  OptionRow also(std::vector<std::string> names) && {
    return option.also = std::move(names), std::move(*this);
  }
};

class OptionRows {
 public:
  void group(const char* name) { group_ = name; }

  /// Adds a row. REQUIRES: the type fits the field; only workers is an integer that is kept as
  /// text.
  void add(const char* name, OptionType type, OptionField field, const char* help, OptionRow row) {
    Option& o = row.option;
    o.name = name;
    o.key = name;
    for (char& c : o.key) {
      if (c == '-') c = '_';
    }
    o.type = type;
    o.field = field;
    o.group = group_;
    o.help = help;
    o.default_text = option_text(TrainConfig{}, o);
    rows_.push_back(std::move(o));
  }
  std::vector<Option> take() { return std::move(rows_); }

 private:
  std::string group_;
  std::vector<Option> rows_;
};

}  // namespace cllm
