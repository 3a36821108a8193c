#include "help_text.h"

#include <cctype>

#include "cllm/options.h"
#include "folded_text.h"

namespace {

void add(FoldedText& help, const cllm::Option& option) {
  using cllm::OptionType;
  std::string left = "--" + option.name, right = option.explained();
  if (option.type != OptionType::kFlag) {
    std::string value = option.type == OptionType::kInteger ? "N" : "X";
    if (!option.choices.empty()) value = "NAME";
    if (!option.unit.empty()) value = option.unit;
    for (char& c : value) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    left += " " + value;
    if (!option.default_text.empty()) right += " [" + option.default_text + "]";
  }
  help.row(left, right);
}

}  // namespace

std::string train_help(std::size_t columns) {
  FoldedText help(columns);
  help.line("train_model trains a language model on a text, token files or a data set.");
  help.blank();
  help.line("train_model --data FILE.txt --out RUN", 2);
  help.line("starts a run; defaults fit machine and data", 6);
  help.line("train_model --resume RUN", 2);
  help.line("continues it, bit for bit", 6);
  help.blank();
  help.line(
      "[...] is the default. Options are written --name value or --name=value, with dashes or "
      "underscores in the name.");
  std::string group;
  for (const cllm::Option& option : cllm::options()) {
    if (option.group != group) {
      group = option.group;
      help.blank();
      help.line(group);
    }
    add(help, option);
  }
  help.blank();
  help.line("General");
  help.row("--config FILE.toml", "values for any option; the command line overrides them");
  help.row("-h, --help", "print this and exit");
  help.row("--version", "print the version and exit");
  help.blank();
  help.line(
      "Signals: Ctrl-C, SIGTERM, SIGHUP and SIGXCPU save the last complete step and stop, SIGUSR1 "
      "saves and goes on, a second Ctrl-C ends at once.");
  help.blank();
  help.line(
      "Exit codes: 0 done, 2 bad usage or bad input (nothing written), 3 stopped by a signal after "
      "saving, 1 anything else.");
  return help.text();
}
