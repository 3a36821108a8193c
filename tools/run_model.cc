// run_model continues a prompt with a trained model.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

#include "cllm/error.h"
#include "cllm/model.h"
#include "cllm/process.h"

namespace {

constexpr int kFailed = 1, kBadInput = 2;

struct Options {
  std::string model;
  std::string prompt;
  std::int64_t tokens = 200;
  cllm::SamplingOptions sampling;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--model", options.model, "model folder, or run folder of train_model")
      ->required();
  app.add_option("--prompt", options.prompt, "text to continue");
  app.add_option("--tokens", options.tokens, "bytes to generate")->capture_default_str();
  cllm::SamplingOptions& sampling = options.sampling;
  app.add_option("--temperature", sampling.temperature, "0 is greedy, higher is more varied")
      ->capture_default_str();
  app.add_option("--top-k", sampling.top_k, "draw from the k most likely only; 0: from all")
      ->capture_default_str();
  app.add_option("--top-p", sampling.top_p, "draw from the most likely that reach probability p")
      ->capture_default_str();
  app.add_option("--seed", sampling.seed, "same seed, same text")->capture_default_str();
}

int run(const Options& options) {
  cllm::check(options.sampling);
  if (options.tokens < 0) {
    throw cllm::InputError(
        {"value out of range", std::to_string(options.tokens), "0 or more", "--tokens", ""});
  }
  cllm::Model model = cllm::Model::load(options.model);
  const auto print = [](const std::string& text) {
    std::cout << text << std::flush;
    return std::cout.good();
  };
  if (model.byte_tokens()) print(options.prompt);
  model.generate_text(options.prompt, options.tokens, options.sampling, print);
  print("\n");
  if (!std::cout) throw cllm::Error("standard output: cannot be written");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cllm::take_standard_descriptors();
  CLI::App app("Continues a prompt with a model that train_model wrote.", "run_model");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
    return run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadInput;  // exit() prints help or the error
  } catch (const cllm::InputError& error) {
    std::cerr << "run_model: " << error.what() << "\n";
    return kBadInput;
  } catch (const std::exception& error) {
    std::cerr << "run_model: " << error.what() << "\n";
    return kFailed;
  }
}
