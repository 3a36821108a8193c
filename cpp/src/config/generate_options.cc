#include "cllm/generate_options.h"

#include <algorithm>

#include "base/files.h"
#include "base/refuse.h"
#include "cllm/options.h"
#include "cllm/wording.h"
#include "config/option_answers.h"

namespace cllm {
namespace {

/// Returns what to do about a name of a program that generates.
std::vector<OptionAnswer> generation_answers() {
  return {
      {{"num-samples", "num-return-sequences", "n-samples"},
       "one sample is made: another " + option_word("seed") + " makes another one"},
      {{"init-from"}, option_word("model") + " names the folder of the run or model"},
      {{"device", "gpu", "cuda", "no-cuda", "use-cpu", "cpu", "workers", "threads"},
       "it runs on this machine's cores"},
      {{"dtype", "torch-dtype", "fp16", "bf16", "precision"}, "it computes in fp32"},
      {{"compile", "torch-compile", "jit"}, "its kernels are compiled already"},
      {{"do-sample"},
       "it samples, and " + option_word("temperature", "0") + " takes the most likely token"},
      {{"max-length"}, option_word("tokens") + " counts what is added to the prompt"},
      {{"num-beams", "repetition-penalty", "no-repeat-ngram-size"}, "it does not do that"},
      {{"padding-text", "prefix"}, option_word("prompt") + " holds all of the text to continue"},
  };
}

}  // namespace

std::string GenerateOption::explained() const {
  std::string text = help;
  for (const std::string& alias : aliases) {
    text += (&alias == &aliases.front() ? "; also --" : ", --") + alias;
  }
  return text;
}

const std::vector<GenerateOption>& generate_options() {
  static const std::vector<GenerateOption> table = {
      {"model",
       {"out-dir", "model-name-or-path"},
       "model folder, or run folder, of which the newest model is taken; a folder with an adapter "
       "names its model"},
      {"adapter",
       {"lora", "peft"},
       "LoRA adapter to add to the model: a folder of PEFT, or the run that trained it"},
      {"prompt", {"start"}, "text to continue"},
      {"tokens", {"max-new-tokens", "length"}, "tokens to add; in a byte model, bytes"},
      {"temperature", {}, "0 is greedy, higher is more varied"},
      {"top-k", {"k"}, "draw from the k most likely only; 0: from all"},
      {"top-p", {"p"}, "draw from the most likely that reach probability p"},
      {"seed", {}, "same seed, same text"},
      {"stop",
       {"stop-token", "stop-string"},
       "end before this text; may be given again for another one",
       true},
  };
  return table;
}

const GenerateOption* find_generate_option(const std::string& name) {
  for (const GenerateOption& option : generate_options()) {
    const std::vector<std::string>& others = option.aliases;
    if (option.name == name || std::find(others.begin(), others.end(), name) != others.end()) {
      return &option;
    }
  }
  return nullptr;
}

std::string unknown_generate_option_hint(const std::string& name) {
  std::string answer = answer_to(name, generation_answers());
  if (!answer.empty()) return answer;
  std::vector<std::string> known = {"help", "version"};
  for (const GenerateOption& option : generate_options()) {
    known.push_back(option.name);
    known.insert(known.end(), option.aliases.begin(), option.aliases.end());
  }
  const std::string near = near_name(name, known);
  return near.empty() ? "see --help" : "did you mean --" + near + "?";
}

void check_prompt(const std::string& prompt) {
  constexpr std::size_t kMark = 5;
  if (prompt.rfind("FILE:", 0) != 0 || !is_there(prompt.substr(kMark))) return;
  refuse("a prompt is not read from a file", prompt, "the text itself", option_word("prompt"),
         option_word("prompt") + " \"$(cat " + prompt.substr(kMark) + ")\"");
}

}  // namespace cllm
