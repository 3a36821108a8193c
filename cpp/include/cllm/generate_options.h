// The options of run_model and of `cllm generate` have one table: names, other programs' names,
// help.
#pragma once

#include <string>
#include <vector>

namespace cllm {

struct GenerateOption {
  std::string name;                  ///< as on the command line, without dashes: "top-k"
  std::vector<std::string> aliases;  ///< other names that are accepted: "max-new-tokens"
  std::string help;                  ///< a phrase without a full stop
  bool repeats = false;              ///< may be given several times

  /// Says all that a command's help tells beside the default: help and other names.
  std::string explained() const;
};

const std::vector<GenerateOption>& generate_options();

/// Finds an option by any of its names, with dashes; nullptr when there is none.
const GenerateOption* find_generate_option(const std::string& name);

/// Says what to do about a name that is no option: the option that is near or that another program
/// calls so, why there is no such option, or where all of them are listed.
std::string unknown_generate_option_hint(const std::string& name);

/// Throws InputError for a prompt that names a file, as nanoGPT's FILE:PATH does: a prompt is text.
void check_prompt(const std::string& prompt);

}  // namespace cllm
