// run_model continues a prompt with a trained model.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cllm/error.h"
#include "cllm/generate_options.h"
#include "cllm/model.h"
#include "cllm/process.h"
#include "folded_text.h"
#include "standard_output.h"
#include "typed_words.h"

namespace {

constexpr int kDone = 0, kFailed = 1, kBadInput = 2;

struct Options {
  std::string model;
  std::string adapter;
  std::string prompt;
  std::int64_t tokens = 200;
  std::vector<std::string> stops;
  cllm::SamplingOptions sampling;
  bool help = false;
  bool version = false;
};

/// Returns all names of an option, as CLI11 reads them.
std::string names_of(const cllm::GenerateOption& option) {
  std::string names = "--" + option.name;
  for (const std::string& alias : option.aliases) names += ",--" + alias;
  return names;
}

void declare(CLI::App& app, Options& options) {
  app.set_help_flag();  // help is folded to the terminal
  app.allow_extras();   // an unknown option is answered with what it may be meant for
  cllm::SamplingOptions& sampling = options.sampling;
  for (const cllm::GenerateOption& option : cllm::generate_options()) {
    const auto add = [&](auto& value) {
      app.add_option(names_of(option), value, option.explained())
          ->capture_default_str()
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // refuse_repeated() looks
    };
    if (option.name == "model") add(options.model);
    if (option.name == "adapter") add(options.adapter);
    if (option.name == "prompt") add(options.prompt);
    if (option.name == "tokens") add(options.tokens);
    if (option.name == "temperature") add(sampling.temperature);
    if (option.name == "top-k") add(sampling.top_k);
    if (option.name == "top-p") add(sampling.top_p);
    if (option.name == "seed") add(sampling.seed);
    if (option.name == "stop") {
      app.add_option(names_of(option), options.stops, option.explained())->allow_extra_args(false);
    }
  }
  app.add_flag("-h,--help", options.help, "print this and exit");
  app.add_flag("--version", options.version, "print the version and exit");
}

std::string help_of(const CLI::App& app) {
  FoldedText help(help_columns());
  help.line("run_model continues a prompt with a model that train_model wrote.");
  help.blank();
  help.line("run_model --model RUN --prompt TEXT", 2);
  help.blank();
  help.line("[...] is the default. Names may have underscores for dashes.");
  help.blank();
  for (const CLI::Option* const option : app.get_options()) {
    const std::string value = option->get_default_str();
    const bool is_flag = option->get_items_expected_max() == 0;
    const std::string name =
        (option->get_snames().empty() ? "--" : "-" + option->get_snames().front() + ", --") +
        option->get_lnames().front();
    help.row(name + (is_flag         ? ""
                     : value.empty() ? " TEXT"
                                     : " N"),
             option->get_description() + (is_flag || value.empty() ? "" : " [" + value + "]"));
  }
  return help.text();
}

int generate(const Options& options) {
  cllm::check(options.sampling);
  cllm::check_prompt(options.prompt);
  if (options.tokens < 0) {
    throw cllm::InputError(
        {"value out of range", std::to_string(options.tokens), "0 or more", "--tokens", ""});
  }
  cllm::Model model = cllm::Model::load(options.model, 0, options.adapter);
  bool is_read = true;
  const auto print = [&](const std::string& text) {
    std::cout << text;
    return is_read = is_read && flush_output();
  };
  model.encode(options.prompt);  // what cannot be read is refused before anything is printed
  if (!print(options.prompt)) return kFailed;
  model.generate_text(options.prompt, options.tokens, options.sampling, print, options.stops);
  return is_read && print("\n") ? kDone : kFailed;
}

int run(int argc, char** argv) {
  CLI::App app;
  Options options;
  declare(app, options);
  const std::vector<std::string> words = typed_words(argc, argv);
  try {
    app.parse(std::vector<std::string>(words));
  } catch (const CLI::ParseError& error) {
    throw cllm::InputError({error.what(), "", "", "command line", "see --help"});
  }
  if (options.help || options.version) {
    std::cout << (options.help ? help_of(app) : "run_model " CLLM_VERSION "\n");
    return flush_output() ? kDone : kFailed;
  }
  const std::vector<std::string> rest = app.remaining();
  if (!rest.empty()) refuse_left_over(rest, cllm::unknown_generate_option_hint);
  refuse_repeated(words, [](const std::string& name) {
    const cllm::GenerateOption* const option = cllm::find_generate_option(name);
    return option == nullptr || option->repeats ? std::string() : option->name;
  });
  if (options.model.empty()) {
    throw cllm::InputError(
        {"no model to run", "", "a model folder, or a run folder", "--model", "--model RUN"});
  }
  return generate(options);
}

}  // namespace

int main(int argc, char** argv) {
  cllm::take_standard_descriptors();
  cllm::survive_failed_writes();
  try {
    return run(argc, argv);
  } catch (const cllm::InputError& error) {
    std::cerr << "run_model: " << error.what() << "\n";
    return kBadInput;
  } catch (const std::exception& error) {
    std::cerr << "run_model: " << error.what() << "\n";
    return kFailed;
  }
}
