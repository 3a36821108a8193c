#include "cllm/run_config.h"

#include "base/refuse.h"
#include "cllm/error.h"
#include "cllm/options.h"

namespace cllm {
namespace {

/// Drops an option in a file when one that excludes it is on the command line.
void drop_excluded(const GivenOptions& line, TrainConfig& config) {
  const TrainConfig defaults;
  const bool steps = line.find("steps") != nullptr, epochs = line.find("epochs") != nullptr;
  const bool workers = line.find("workers") != nullptr, threads = line.find("threads") != nullptr;
  if (steps && !epochs) config.epochs = defaults.epochs;
  if (epochs && !steps) config.steps = defaults.steps;
  if (workers && !threads) config.threads = defaults.threads;
  if (threads && !workers) config.workers = defaults.workers;
}

TrainConfig new_run(const GivenOptions& line) {
  TrainConfig config;
  if (!line.config_file.empty()) {
    load_toml(config, line.config_file);
    if (!config.resume.empty()) {
      refuse("a run is resumed from the command line", config.resume, "", line.config_file,
             option_word("resume", config.resume));
    }
  }
  drop_excluded(line, config);
  set_options(config, line.given);
  check(config);
  // A command ends with its process, so a run without a folder would be lost.
  if (config.out.empty()) {
    refuse("no place for the run", "", "a folder to create", option_word("out"),
           option_word("out", "RUN"));
  }
  return config;
}

/// Returns only what is given; whoever opens the run's folder finds the rest there.
TrainConfig resumed_run(const GivenOptions& line) {
  if (!line.config_file.empty()) {
    refuse("a resumed run takes its configuration from its folder",
           option_word("config", line.config_file), "", option_word("resume"),
           "leave " + option_word("config") + " out");
  }
  TrainConfig config;
  set_options(config, line.given);
  return config;
}

}  // namespace

const std::string* GivenOptions::find(const std::string& name) const {
  const Option* const wanted = find_option(name);
  for (const auto& [typed, value] : given) {
    if (wanted != nullptr && find_option(typed) == wanted) return &value;
  }
  return nullptr;
}

TrainConfig run_config(const GivenOptions& line) {
  const std::string* resume = line.find("resume");
  if (resume == nullptr) return new_run(line);
  if (resume->empty()) refuse("no run to resume", "\"\"", "a run folder", option_word("resume"));
  return resumed_run(line);
}

}  // namespace cllm
