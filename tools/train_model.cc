// train_model trains a model on a text, token files or a data set, or continues a run.
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

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

/// Returns a text as a shell reads it.
std::string quoted(const std::string& text) {
  static const char* const kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string inside;
  for (const char c : text) inside += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + inside + "'";
}

/// Returns how to call the program `name` that lies beside this one.
std::string beside(const std::string& program, const std::string& name) {
  return quoted(program.substr(0, program.rfind('/') + 1) + name);
}

ExitCode train(const cllm::TrainConfig& config, const std::string& program) {
  cllm::catch_stop_signals(!config.quiet);
  cllm::Trainer trainer(config, [&](const std::string& line) {
    if (!config.quiet) cllm::write_to_stderr(line + "\n");
  });
  const cllm::StopOnSignal stop(trainer);
  cllm::Progress progress({trainer.steps_done(), trainer.steps_total(), trainer.config().log_every,
                           trainer.config().quiet, trainer.config().out},
                          cllm::ProgressOutput::to_stderr());
  const bool finished = trainer.run(progress) == cllm::RunOutcome::kFinished;
  const std::string& run = trainer.config().out;
  if (finished) {
    std::error_code unknown;
    const auto exists = [&](const char* name) {
      return std::filesystem::exists(run + name, unknown);
    };
    const bool best = trainer.config().keep_best && exists("/checkpoints/best");
    if (exists("/final/tokenizer.json"))
      progress.on_note("sample  " + beside(program, "run_model") + " --model " +
                       quoted(run + (best ? "/checkpoints/best" : "")));
    return kDone;
  }
  progress.on_note("stopped after step " + std::to_string(trainer.steps_done()) + " of " +
                   std::to_string(trainer.steps_total()) + "; to continue: " + quoted(program) +
                   " --resume " + quoted(run));
  return kStopped;
}

ExitCode run(int argc, char** argv) {
  const CommandLine line = parse_command_line(argc, argv);
  if (line.help) {
    std::cout << train_help(help_columns());
  } else if (line.version) {
    std::cout << "train_model " CLLM_VERSION "\n";
  } else {
    return train(cllm::run_config(line), argv[0]);
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
