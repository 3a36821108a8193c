// This is the one table of options: names, types, units, defaults, ranges and help of every
// TrainConfig field. Command line, config.toml, Python and their errors are all made from it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cllm/train_config.h"
#include "cllm/wording.h"

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

/// Is another accepted name of an option, one that other programs use.
struct OptionAlias {
  std::string key;    ///< as in config.toml and in Python: "learning_rate"
  std::string value;  ///< "" in general; else the name is a flag that stands for this value: bf16

  std::string name() const;  ///< as on the command line, without dashes: "learning-rate"
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
  bool on_resume = false;            ///< a resumed run may change it: the answer does not depend
                                     ///< on it, or the run only gets longer
  std::vector<OptionAlias> aliases;  ///< other names that are accepted
  std::vector<std::string> also;     ///< words of other programs that are only answered: "dtype"
  std::string default_text;          ///< filled in from TrainConfig{}

  /// Says what may be written: "auto, or an integer of at least 0", "cosine, linear, constant or
  /// wsd".
  std::string wanted() const;
  /// Says all that a command's help tells beside the default: help, range, choices, other names.
  std::string explained() const;
};

const std::vector<Option>& options();

/// Is what a name stands for: an option, or none. `alias` is null for the option's own name or key.
struct NamedOption {
  const Option* option = nullptr;
  const OptionAlias* alias = nullptr;
};

/// Finds an option by its name, its key or an alias, with dashes or underscores.
NamedOption named_option(const std::string& name);

/// Finds an option as named_option does; nullptr when there is none.
const Option* find_option(const std::string& name);

/// Sets one field from text, by any name of the option. Throws InputError (where: `where`, or the
/// option as it was named when that is empty) for an unknown name and for a value that does not
/// parse or is out of range. Numbers are read strictly and without a locale.
void set_option(TrainConfig& config, const std::string& name, const std::string& value,
                const std::string& where = "");

/// Throws InputError because one option is given twice: by these names, as they were typed.
[[noreturn]] void refuse_repeated_option(const std::string& first, const std::string& second);

/// Sets fields one after another. Throws InputError also when one option is given twice, under
/// whatever names.
void set_options(TrainConfig& config,
                 const std::vector<std::pair<std::string, std::string>>& given);

/// Says whether the option was set: by set_option, or to a value that is not its default.
bool is_given(const TrainConfig& config, const Option& option);

/// Returns the field's value as set_option reads it back, bit for bit.
std::string option_text(const TrainConfig& config, const Option& option);

/// Returns the entry of `among` that is fewest edits (insert, delete, replace, swap) away, if these
/// are few beside the lengths; "" otherwise.
std::string near_name(const std::string& name, const std::vector<std::string>& among);

/// Says what to do about a name that is no option: the option that is near or that another program
/// calls so, why there is no such option, or where all of them are listed. `more` are known names
/// beside the table's, and `how` is the way to write options there.
std::string unknown_option_hint(const std::string& name, Wording how,
                                const std::vector<std::string>& more = {});

/// Throws InputError that names all unknown options of one place, each with hint_of(name); a name
/// without dashes is quoted. REQUIRES: there are some.
[[noreturn]] void refuse_unknown_options(
    const std::vector<std::string>& names, const std::string& where,
    const std::function<std::string(const std::string& name)>& hint_of);

/// Writes all options as a flat TOML file with the help as comments. `resume` and `overwrite` are
/// left out, because they say how a process was started, not what the run is.
std::string to_toml(const TrainConfig& config);

/// Applies `key = value` lines. Errors name the text by `file` and give the line.
void apply_toml(TrainConfig& config, const std::string& text, const std::string& file);

/// Calls apply_toml with a file's content. Throws InputError for a file that cannot be read.
void load_toml(TrainConfig& config, const std::string& path);

/// Checks everything that can be checked without looking at files: each field's range, and fields
/// that contradict each other. Throws InputError naming the option.
void check(const TrainConfig& config);

}  // namespace cllm
