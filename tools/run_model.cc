// run_model continues a prompt with a trained model.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cllm/error.h"
#include "cllm/model.h"
#include "cllm/options.h"
#include "cllm/process.h"
#include "folded_text.h"
#include "standard_output.h"

namespace {

constexpr int kDone = 0, kFailed = 1, kBadInput = 2;

struct Options {
  std::string model;
  std::string prompt;
  std::int64_t tokens = 200;
  cllm::SamplingOptions sampling;
  bool help = false;
  bool version = false;
};

void declare(CLI::App& app, Options& options) {
  app.set_help_flag();  // help is folded to the terminal
  app.allow_extras();   // an unknown option is answered with the nearest known one
  app.add_option("--model", options.model, "model folder, or run folder of train_model");
  app.add_option("--prompt", options.prompt, "text to continue");
  app.add_option("--tokens", options.tokens, "bytes to generate");
  cllm::SamplingOptions& sampling = options.sampling;
  app.add_option("--temperature", sampling.temperature, "0 is greedy, higher is more varied");
  app.add_option("--top-k", sampling.top_k, "draw from the k most likely only; 0: from all");
  app.add_option("--top-p", sampling.top_p, "draw from the most likely that reach probability p");
  app.add_option("--seed", sampling.seed, "same seed, same text");
  for (CLI::Option* const option : app.get_options()) option->capture_default_str();
  app.add_flag("-h,--help", options.help, "print this and exit");
  app.add_flag("--version", options.version, "print the version and exit");
}

std::string help_of(const CLI::App& app) {
  FoldedText help(help_columns());
  help.line("run_model continues a prompt with a model that train_model wrote.");
  help.blank();
  help.line("run_model --model RUN --prompt TEXT", 2);
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

[[noreturn]] void refuse_unknown(const CLI::App& app, const std::string& argument) {
  std::vector<std::string> known;
  for (const CLI::Option* const option : app.get_options()) {
    known.push_back(option->get_lnames().front());
  }
  const std::string name = argument.substr(0, argument.find('='));
  const std::string near = argument.front() == '-' ? cllm::near_name(name, known) : "";
  throw cllm::InputError(cllm::ErrorParts{
      argument.front() == '-' ? "unknown option" : "a value without an option", name, "",
      "command line", near.empty() ? "see --help" : "did you mean --" + near + "?"});
}

int generate(const Options& options) {
  cllm::check(options.sampling);
  if (options.tokens < 0) {
    throw cllm::InputError(
        {"value out of range", std::to_string(options.tokens), "0 or more", "--tokens", ""});
  }
  cllm::Model model = cllm::Model::load(options.model);
  bool is_read = true;
  const auto print = [&](const std::string& text) {
    std::cout << text;
    return is_read = is_read && flush_output();
  };
  if (model.byte_tokens() && !print(options.prompt)) return kFailed;
  model.generate_text(options.prompt, options.tokens, options.sampling, print);
  return is_read && print("\n") ? kDone : kFailed;
}

int run(int argc, char** argv) {
  CLI::App app;
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw cllm::InputError({error.what(), "", "", "command line", "see --help"});
  }
  if (options.help || options.version) {
    std::cout << (options.help ? help_of(app) : "run_model " CLLM_VERSION "\n");
    return flush_output() ? kDone : kFailed;
  }
  const std::vector<std::string> rest = app.remaining();
  if (!rest.empty()) refuse_unknown(app, rest.front());
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
