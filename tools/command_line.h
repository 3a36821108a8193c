// A CommandLine holds what the command line of train_model says, before anything is decided from
// it.
#pragma once

#include "cllm/run_config.h"

/// Holds the options; `given` is in the order of the table.
struct CommandLine : cllm::GivenOptions {
  bool help = false;
  bool version = false;
};

/// Reads the command line. Throws cllm::InputError for unknown options (it names all of them and
/// says what they may be meant for), for too many or too few values, and for an option given twice.
CommandLine parse_command_line(int argc, char** argv);
