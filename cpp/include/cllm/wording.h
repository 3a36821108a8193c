// Messages name an option as the person who reads them writes it: --eval-every on a command line,
// eval_every in Python.
#pragma once

#include <string>

namespace cllm {

enum class Wording {
  kCommandLine,  ///< --eval-every 5
  kKeywords      ///< eval_every=5
};

/// Chooses the wording of this process's messages; it is kCommandLine until somebody does. A
/// program has one front end, so that this is a fact of the process. Thread-safe.
void set_wording(Wording wording) noexcept;
Wording wording() noexcept;

/// Returns an option of the table in this process's wording, by the name that it was given under
/// where that is known: "--lr", "--learning-rate", "learning_rate".
std::string option_word(const std::string& name);

/// Returns an option with a value: "--resume RUN", "resume=\"RUN\"", "vocab=N".
std::string option_word(const std::string& name, const std::string& value);

/// Returns an option that is on: "--overwrite", "overwrite=True".
std::string option_flag(const std::string& name);

}  // namespace cllm
