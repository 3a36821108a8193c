#include "help_text.h"

#include <cctype>

#include "cllm/options.h"

namespace {

constexpr std::size_t kIndent = 28;
constexpr std::size_t kColumns = 96;

/// Returns `left` in its own column, with the words of `right` folded beside it.
std::string row(const std::string& left, const std::string& right) {
  std::string text = "  " + left;
  std::size_t column = text.size();
  if (column + 2 > kIndent) {
    text += '\n';
    column = 0;
  }
  text.append(kIndent - column, ' ');
  column = kIndent;
  for (std::size_t at = 0; at < right.size();) {
    const std::size_t space = right.find(' ', at);
    const std::string word = right.substr(at, space - at);
    if (column > kIndent && column + 1 + word.size() > kColumns) {
      text += "\n" + std::string(kIndent, ' ');
      column = kIndent;
    } else if (column > kIndent) {
      text += ' ';
      ++column;
    }
    text += word;
    column += word.size();
    at = space == std::string::npos ? right.size() : space + 1;
  }
  return text + "\n";
}

std::string row(const cllm::Option& option) {
  using cllm::OptionType;
  if (option.type == OptionType::kFlag) return row("--" + option.name, option.help);
  const bool is_number = option.type != OptionType::kString;
  std::string value = option.type == OptionType::kInteger ? "N" : "X";
  if (!option.choices.empty()) value = "NAME";
  if (!option.unit.empty()) value = option.unit;
  for (char& c : value) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string right = option.help;
  if (is_number) right += "; " + option.range.text();
  if (!option.choices.empty()) right += ": " + option.wanted();
  if (!option.default_text.empty()) right += " [" + option.default_text + "]";
  return row("--" + option.name + " " + value, right);
}

}  // namespace

std::string train_help() {
  std::string text =
      "train_model trains a GPT-2 model on a text or token file.\n\n"
      "  train_model --data FILE.txt --out RUN      start a run; defaults fit machine and data\n"
      "  train_model --resume RUN                   continue it, bit for bit\n\n"
      "[...] is the default; options may be written --name value or --name=value.\n";
  std::string group;
  for (const cllm::Option& option : cllm::options()) {
    if (option.group != group) {
      group = option.group;
      text += "\n" + group + "\n";
    }
    text += row(option);
  }
  text += "\nGeneral\n";
  text += row("--config FILE.toml", "values for any option; the command line overrides them");
  text += row("-h, --help", "print this and exit");
  text += row("--version", "print the version and exit");
  text +=
      "\nSignals: Ctrl-C, SIGTERM, SIGHUP and SIGXCPU save the last complete step and stop, "
      "SIGUSR1 "
      "saves and\ngoes on, a second Ctrl-C ends at once.\n"
      "\nExit codes: 0 done, 2 bad usage or bad input (nothing written), 3 stopped by a signal "
      "after\nsaving, 1 anything else.\n";
  return text;
}
