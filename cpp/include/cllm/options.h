// This is the one table of options: names, types, units, defaults, ranges and help of every
// TrainConfig field. Command line, config.toml, Python and their errors are all made from it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cllm/train_config.h"

namespace cllm {

enum class OptionType { kString, kInteger, kReal, kFlag };

/// Names the field that an option sets. A flag whose name starts with "no-" clears its field.
using OptionField = std::variant<std::string TrainConfig::*, std::int64_t TrainConfig::*,
                                 double TrainConfig::*, bool TrainConfig::*>;

/// Holds the numbers that an option accepts; the ends are accepted unless they are open.
struct OptionRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
  bool or_zero = false;  ///< also accepts 0, which stands for none

  bool holds(double value) const noexcept;  ///< returns false for NaN
  std::string text() const;  ///< "from 1 to 64", "at least 0 and below 1", "of at least 1",
                             ///< "0, or from 1 to 64"
};

struct Option {
  std::string name;  ///< as on the command line, without dashes: "grad-accum"
  std::string key;   ///< as in config.toml and in Python: "grad_accum"
  OptionType type;
  OptionField field;
  std::string group;  ///< heading in the help
  std::string unit;   ///< "" when there is none
  std::string help;   ///< a phrase without a full stop
  OptionRange range;
  std::vector<std::string> choices;  ///< of a string option; empty: any text
  /// This number stands for "auto"; if it is negative, every negative number does.
  std::optional<std::int64_t> automatic;
  bool on_resume = false;         ///< a resumed run may change it: the answer does not depend on
                                  ///< it, or the run only gets longer
  std::vector<std::string> also;  ///< names that other programs use, for suggestions
  std::string default_text;       ///< filled in from TrainConfig{}

  /// Says what may be written: "auto, or an integer of at least 0", "cosine, linear, constant or
  /// wsd".
  std::string wanted() const;
};

const std::vector<Option>& options();

/// Finds an option by name or key; nullptr when there is none.
const Option* find_option(const std::string& name_or_key);

/// Sets one field from text. Throws InputError (where: `where`, or "--NAME" when that is empty) for
/// an unknown name, suggesting the nearest, and for a value that does not parse or is out of range.
/// Numbers are read strictly and without a locale.
void set_option(TrainConfig& config, const std::string& name_or_key, const std::string& value,
                const std::string& where = "");

/// Says whether the option was set: by set_option, or to a value that is not its default.
bool is_given(const TrainConfig& config, const Option& option);

/// Returns the field's value as set_option reads it back, bit for bit.
std::string option_text(const TrainConfig& config, const Option& option);

/// Returns the entry of `among` that is fewest edits (insert, delete, replace, swap) away.
std::string nearest_name(const std::string& name, const std::vector<std::string>& among);

/// Returns the name or synonym nearest to an unknown one, as an option name.
std::string nearest_option(const std::string& name, const std::vector<std::string>& more = {});

/// Writes all options as a flat TOML file with the help as comments. `resume` is left out, because
/// it says how a process was started, not what the run is.
std::string to_toml(const TrainConfig& config);

/// Applies `key = value` lines. Errors name the text by `file` and give the line.
void apply_toml(TrainConfig& config, const std::string& text, const std::string& file);

/// Calls apply_toml with a file's content. Throws InputError for a file that cannot be read.
void load_toml(TrainConfig& config, const std::string& path);

/// Checks everything that can be checked without looking at files: each field's range, and fields
/// that contradict each other. Throws InputError naming the option.
void check(const TrainConfig& config);

}  // namespace cllm
