#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>

#include "cllm/error.h"
#include "cllm/options.h"
#include "typed_words.h"

namespace {

/// Throws CLI11's own words on one line.
[[noreturn]] void refuse(const CLI::ParseError& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  throw cllm::InputError(cllm::ErrorParts{text, "", "", "command line", "see --help"});
}

/// Is an option of the command line: one of the table, under one of its names.
struct Named {
  std::string name;
  std::vector<std::string> values;  ///< as often as it is given
};

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  CLI::App app;
  app.set_help_flag();  // the help is made from the table, with units and ranges
  app.allow_extras();   // an unknown option is answered with the nearest known one
  app.add_flag("-h,--help", line.help);
  app.add_flag("--version", line.version);
  app.add_option("--config", line.config_file)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // refuse_repeated() looks
  std::deque<Named> table;                                      // a deque keeps addresses
  const auto add = [&](const std::string& name, bool is_flag) {
    Named& named = table.emplace_back(Named{name, {}});
    CLI::Option* const parser = is_flag ? app.add_flag("--" + name, named.values)
                                        : app.add_option("--" + name, named.values);
    if (!is_flag) {
      parser->expected(1)->allow_extra_args(false);
      parser->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  };
  for (const cllm::Option& option : cllm::options()) {
    add(option.name, option.type == cllm::OptionType::kFlag);
    for (const cllm::OptionAlias& alias : option.aliases) {
      add(alias.name(), option.type == cllm::OptionType::kFlag || !alias.value.empty());
    }
  }
  const std::vector<std::string> words = typed_words(argc, argv);
  try {
    app.parse(std::vector<std::string>(words));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();
    throw cllm::InputError(
        cllm::ErrorParts{"no value", "", "", text.substr(0, text.find(':')), "see --help"});
  } catch (const CLI::ParseError& error) {
    refuse(error);
  }
  if (line.help || line.version) return line;
  const std::vector<std::string> rest = app.remaining();
  if (!rest.empty()) {
    refuse_left_over(rest, [](const std::string& name) {
      return cllm::unknown_option_hint(name, cllm::Wording::kCommandLine,
                                       {"config", "help", "version"});
    });
  }
  refuse_repeated(words, [](const std::string& name) {
    return name == "config" ? name : std::string();  // set_options() looks at those of the table
  });
  for (const Named& named : table) {
    for (const std::string& value : named.values) line.given.emplace_back(named.name, value);
  }
  return line;
}
