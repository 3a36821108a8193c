// These functions find options by their names, and answer a name that is not known: with a near
// one, or with what it stands for.
#include <algorithm>
#include <map>

#include "cllm/options.h"

namespace cllm {
namespace {

/// Counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
std::size_t edits(const std::string& a, const std::string& b) {
  const std::size_t n = b.size() + 1;
  std::vector<std::size_t> before(n), above(n), row(n);
  for (std::size_t j = 0; j < n; ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j < n; ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(above);
    above.swap(row);
  }
  return above[n - 1];
}

/// Returns a name in the form for comparison: without leading dashes, underscores as dashes, lower
/// case.
std::string plain(const std::string& name) {
  std::string text = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  for (char& c : text) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text.substr(0, 64);  // no known name is longer, and the cost is a product of lengths
}

/// Says whether so few edits turn one name into the other that it may be meant.
bool is_near(std::size_t n, const std::string& a, const std::string& b) {
  return 3 * n <= std::max(a.size(), b.size());
}

/// Is what people look for under a name, and do not find.
struct Answer {
  std::vector<const char*> names;
  std::string text;
};

/// Returns the names of other programs' options that stand for something else here, or for nothing.
std::vector<Answer> answers() {
  const std::string eval = option_word("eval-every"), save = option_word("save-every"),
                    log = option_word("log-every");
  return {
      {{"fp16", "float16", "half", "tf32"},
       "products are of fp32 or bf16: " + option_word("precision", "bf16")},
      {{"device", "gpu", "gpus", "n-gpu", "cuda", "no-cuda", "use-cpu", "cpu"},
       "it trains on this machine's cores; " + option_word("workers") + " says on how many"},
      {{"local-rank", "nproc-per-node", "world-size", "deepspeed", "fsdp", "ddp", "ddp-backend"},
       "a run is one process on one machine"},
      {{"compile", "torch-compile", "jit", "flash", "fused"},
       "its kernels are compiled and fused already"},
      {{"bias"}, "biases are trained unless " + option_word("no-bias") + " is given"},
      {{"optim", "optimizer"}, "the optimizer is AdamW"},
      {{"load-best-model-at-end", "metric-for-best-model", "greater-is-better"},
       option_word("keep-best") + " keeps it, as checkpoints/best"},
      {{"early-stopping-patience", "early-stopping-threshold"},
       "in Python, Trainer takes callbacks=[cllm.EarlyStopping(patience=3)]"},
      {{"disable-tqdm"}, option_word("quiet") + " prints nothing but errors"},
      {{"data-seed"}, option_word("seed") + " decides the order of the data, too"},
      {{"per-device-eval-batch-size", "eval-batch-size"},
       "an evaluation goes by batches of training; " + option_word("eval-tokens") +
           " says how much it uses"},
      {{"wandb-log", "wandb", "logging-dir", "run-name", "wandb-project", "wandb-run-name",
        "report-to", "tensorboard"},
       "every step's numbers are in the run's metrics.jsonl"},
      {{"eval-strategy", "evaluation-strategy", "save-strategy", "logging-strategy",
        "always-save-checkpoint"},
       eval + ", " + save + " and " + log + " count steps; 0: never"},
      {{"save-total-limit"}, option_word("keep") + " counts checkpoints beside the newest"},
      {{"warmup-ratio"}, option_word("warmup") + " counts steps"},
      {{"decay-lr", "lr-decay-iters"},
       "the rate reaches its end with the last step; " + option_word("schedule", "constant") +
           " does not lower it"},
      {{"total-batch-size"},
       "a step's tokens are " + option_word("batch") + " times " + option_word("grad-accum") +
           " times " + option_word("seq")},
      {{"do-train", "do-eval"}, "a run trains and validates"},
      {{"label-smoothing", "label-smoothing-factor", "lora", "lora-r", "peft", "quantize"},
       "it does not do that"},
  };
}

}  // namespace

NamedOption named_option(const std::string& name) {
  std::string key = name;
  std::replace(key.begin(), key.end(), '-', '_');
  for (const Option& option : options()) {
    if (option.key == key) return {&option, nullptr};
    for (const OptionAlias& alias : option.aliases) {
      if (alias.key == key) return {&option, &alias};
    }
  }
  return {};
}

const Option* find_option(const std::string& name) { return named_option(name).option; }

std::string near_name(const std::string& name, const std::vector<std::string>& among) {
  const std::string wanted = plain(name);
  std::size_t fewest = 0;
  const std::string* best = nullptr;
  for (const std::string& candidate : among) {
    const std::string known = plain(candidate);
    const std::size_t n = edits(wanted, known);
    if (is_near(n, wanted, known) && (best == nullptr || n < fewest)) {
      fewest = n;
      best = &candidate;
    }
  }
  return best == nullptr ? "" : *best;
}

std::string unknown_option_hint(const std::string& name, Wording how,
                                const std::vector<std::string>& more) {
  std::map<std::string, std::string> meanings;  // of words that are not accepted
  std::vector<std::string> known = more;
  for (const Option& option : options()) known.push_back(option.name);
  for (const Option& option : options()) {
    for (const OptionAlias& alias : option.aliases) known.push_back(alias.name());
    for (const std::string& word : option.also) {
      known.push_back(word);
      meanings[word] = option.name;
    }
  }
  for (const Answer& answer : answers()) {
    for (const char* const asked : answer.names) {
      if (plain(name) == asked) return answer.text;
    }
  }
  std::string near = near_name(name, known);
  if (near.empty()) {
    return wording() == Wording::kCommandLine ? "see --help" : "cllm.options() lists them";
  }
  if (meanings.count(near) > 0) near = meanings[near];
  if (how == Wording::kCommandLine) return "did you mean --" + near + "?";
  std::replace(near.begin(), near.end(), '-', '_');
  return "did you mean \"" + near + "\"?";
}

}  // namespace cllm
