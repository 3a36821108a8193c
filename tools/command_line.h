// What train_model was told on its command line, before it means anything.
#pragma once

#include <string>
#include <utility>
#include <vector>

struct CommandLine {
  bool help = false;
  bool version = false;
  std::string config_file;  ///< --config; "" when not given
  /// Options of the table with their texts, in the order of the table.
  std::vector<std::pair<std::string, std::string>> given;

  /// The text of a given option; nullptr when it is not given.
  const std::string* find(const std::string& name) const;
};

/// Throws cllm::InputError for an unknown option (the nearest one is suggested), a value too many
/// or too few, an option given twice.
CommandLine parse_command_line(int argc, char** argv);
