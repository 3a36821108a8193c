// A run's configuration comes from few given options: defaults, a file, a resumed run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cllm/train_config.h"

namespace cllm {

/// Holds what a user said, as texts.
struct GivenOptions {
  std::string config_file;                                 ///< --config; "" when not given
  std::vector<std::pair<std::string, std::string>> given;  ///< names as typed, and their values

  /// Returns the text of a given option, under whatever name; nullptr when it is not given.
  const std::string* find(const std::string& name) const;
};

/// Takes defaults, then the config file, then the given options. With resume it takes only the
/// given options: a Trainer adds what the run was started with, and decides what may change. Throws
/// InputError.
TrainConfig run_config(const GivenOptions& line);

}  // namespace cllm
