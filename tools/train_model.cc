// train_model trains a model on a text or token file, or continues a run.
#include <exception>
#include <iostream>
#include <string>

#include "cllm/error.h"
#include "cllm/process.h"
#include "cllm/progress.h"
#include "cllm/run_config.h"
#include "cllm/stop_signals.h"
#include "cllm/trainer.h"
#include "command_line.h"
#include "folded_text.h"
#include "help_text.h"
#include "standard_output.h"

namespace {

enum ExitCode { kDone = 0, kFailed = 1, kBadInput = 2, kStopped = 3 };

ExitCode train(const cllm::TrainConfig& config) {
  cllm::catch_stop_signals(!config.quiet);
  cllm::Trainer trainer(config, [&](const std::string& line) {
    if (!config.quiet) cllm::write_to_stderr(line + "\n");
  });
  const cllm::StopOnSignal stop(trainer);
  cllm::Progress progress(
      {trainer.steps_done(), trainer.steps_total(), config.log_every, config.quiet},
      cllm::ProgressOutput::to_stderr());
  const bool finished = trainer.run(progress) == cllm::RunOutcome::kFinished;
  const std::string& run = trainer.config().out;
  if (finished) {
    progress.on_note("done: the model is in " + run + "/final");
    return kDone;
  }
  progress.on_note("stopped after step " + std::to_string(trainer.steps_done()) + " of " +
                   std::to_string(trainer.steps_total()) + "; to continue: train_model --resume " +
                   run);
  return kStopped;
}

ExitCode run(int argc, char** argv) {
  const CommandLine line = parse_command_line(argc, argv);
  if (line.help) {
    std::cout << train_help(help_columns());
  } else if (line.version) {
    std::cout << "train_model " CLLM_VERSION "\n";
  } else {
    return train(cllm::run_config(line));
  }
  return flush_output() ? kDone : kFailed;
}

ExitCode fail(const std::exception& error, ExitCode code) {
  cllm::write_to_stderr(std::string("train_model: ") + error.what() + "\n");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  cllm::take_standard_descriptors();
  cllm::survive_failed_writes();
  try {
    return run(argc, argv);
  } catch (const cllm::InputError& error) {
    return fail(error, kBadInput);
  } catch (const std::exception& error) {
    return fail(error, kFailed);
  }
}
