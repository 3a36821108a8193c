// What train_model was told on its command line, before it means anything.
#pragma once

#include "cllm/run_config.h"

/// `given` is in the order of the table.
struct CommandLine : cllm::GivenOptions {
  bool help = false;
  bool version = false;
};

/// Throws cllm::InputError for an unknown option (the nearest one is suggested), a value too many
/// or too few, an option given twice.
CommandLine parse_command_line(int argc, char** argv);
