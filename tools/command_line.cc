#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>

#include "cllm/error.h"
#include "cllm/options.h"

namespace {

/// Throws CLI11's own words on one line.
[[noreturn]] void refuse(const CLI::ParseError& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  throw cllm::InputError(cllm::ErrorParts{text, "", "", "command line", "see --help"});
}

[[noreturn]] void refuse_unknown(const std::string& argument) {
  if (argument.front() != '-') {
    throw cllm::InputError(cllm::ErrorParts{"a value without an option", "\"" + argument + "\"",
                                            "--OPTION VALUE", "command line", "see --help"});
  }
  const std::string name = argument.substr(0, argument.find('='));
  const std::string nearest = cllm::nearest_option(name, {"config", "help", "version"});
  throw cllm::InputError(cllm::ErrorParts{"unknown option", name, "", "command line",
                                          "did you mean --" + nearest + "?"});
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  CLI::App app;
  app.set_help_flag();  // the help is made from the table, with units and ranges
  app.allow_extras();   // an unknown option is answered with the nearest known one
  app.add_flag("-h,--help", line.help);
  app.add_flag("--version", line.version);
  app.add_option("--config", line.config_file);
  std::deque<std::string> texts;  // a deque keeps addresses
  std::vector<CLI::Option*> parsers;
  for (const cllm::Option& option : cllm::options()) {
    const std::string name = "--" + option.name;
    texts.emplace_back();
    const bool is_flag = option.type == cllm::OptionType::kFlag;
    parsers.push_back(is_flag ? app.add_flag(name, texts.back())
                              : app.add_option(name, texts.back()));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    refuse(error);
  }
  if (line.help || line.version) return line;
  const std::vector<std::string> rest = app.remaining();
  if (!rest.empty()) refuse_unknown(rest.front());
  for (std::size_t i = 0; i < parsers.size(); ++i) {
    if (parsers[i]->count() > 0) line.given.emplace_back(cllm::options()[i].name, texts[i]);
  }
  return line;
}
