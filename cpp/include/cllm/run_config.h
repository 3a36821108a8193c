// The configuration that a few given options mean: defaults, file, resumed run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cllm/train_config.h"

namespace cllm {

/// What a user said, as texts.
struct GivenOptions {
  std::string config_file;                                 ///< --config; "" when not given
  std::vector<std::pair<std::string, std::string>> given;  ///< names of the table, their values

  /// The text of a given option; nullptr when it is not given.
  const std::string* find(const std::string& name) const;
};

/// Defaults, then the config file, then what is given. With resume only what is given: a Trainer
/// adds what the run was started with, and decides what may change. Throws InputError.
TrainConfig run_config(const GivenOptions& line);

}  // namespace cllm
