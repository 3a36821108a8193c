// The configuration that a command line means.
#pragma once

#include "cllm/train_config.h"
#include "command_line.h"

/// Defaults, then --config, then the command line; or, with --resume, what the run was started
/// with, then the options that may change in a resumed run. Throws cllm::InputError.
cllm::TrainConfig run_config(const CommandLine& line);
