#include "config/option_answers.h"

#include "cllm/wording.h"
#include "config/plain_name.h"

namespace cllm {

std::vector<OptionAnswer> training_answers() {
  const std::string eval = option_word("eval-every"), save = option_word("save-every"),
                    log = option_word("log-every");
  return {
      {{"fp16", "float16", "half", "tf32"},
       "products are of fp32 or bf16: " + option_word("precision", "bf16")},
      {{"dtype", "torch-dtype", "amp", "mixed-precision"},
       "float32 is " + option_word("precision", "fp32") + ", bfloat16 is " +
           option_word("precision", "bf16")},
      {{"init-from", "model-name-or-path", "model-name"},
       "scratch is what happens without it; resume is " + option_word("resume", "RUN") +
           "; a model is named by its folder: " + option_word("init", "FOLDER") +
           ", one of the Hugging Face hub after save_pretrained(\"FOLDER\") of transformers"},
      {{"dataset", "dataset-name"},
       option_word("data") +
           " names the data themselves: a text, token files, or a data set's folder"},
      {{"tokenizer", "tokenizer-name"},
       "a data set has one: " + option_word("data") +
           " names the folder that `cllm prepare`, or "
           "cllm.prepare.prepare(texts, folder, tokenizer=\"bpe:4096\") in Python, makes of texts; "
           "`cllm train` does both"},
      {{"eval-iters", "eval-batches", "val-max-steps"},
       option_word("eval-tokens") + " counts tokens, and is chosen by itself: a batch has " +
           option_word("batch") + " times " + option_word("seq")},
      {{"device", "gpu", "gpus", "n-gpu", "cuda", "no-cuda", "use-cpu", "cpu"},
       "it trains on this machine's cores; " + option_word("workers") + " says on how many"},
      {{"local-rank", "nproc-per-node", "world-size", "deepspeed", "fsdp", "ddp", "ddp-backend",
        "backend"},
       "a run is one process on one machine"},
      {{"compile", "torch-compile", "jit", "flash", "fused"},
       "its kernels are compiled and fused already"},
      {{"bias"}, "biases are trained unless " + option_word("no-bias") + " is given"},
      {{"optim", "optimizer"}, "the optimizer is AdamW"},
      {{"load-best-model-at-end", "metric-for-best-model", "greater-is-better"},
       option_flag("keep-best") + " keeps the best model, as checkpoints/best of the run"},
      {{"early-stopping-threshold"},
       option_word("patience") + " counts evaluations without any lower loss; in Python there is "
                                 "cllm.EarlyStopping(patience=3, min_delta=0.01)"},
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
       eval + ", " + save + " and " + log + " count steps; 0: never; " + option_word("keep-best") +
           " keeps the best model"},
      {{"save-total-limit"},
       option_word("keep") + " counts checkpoints beside the newest: 2 is " +
           option_word("keep", "1")},
      {{"warmup-ratio"}, option_word("warmup") + " counts steps: 0.1 of 500 is 50"},
      {{"decay-lr", "lr-decay-iters"},
       "the rate reaches its end with the last step; " + option_word("schedule", "constant") +
           " does not lower it"},
      {{"total-batch-size"},
       "a step's tokens are " + option_word("batch") + " times " + option_word("grad-accum") +
           " times " + option_word("seq")},
      {{"do-train", "do-eval"}, "a run trains and validates"},
      {{"use-dora", "lora-bias", "load-in-4bit", "load-in-8bit"},
       "adapters are LoRA or rsLoRA, on linear maps of weights in fp32 or bf16: " +
           option_flag("lora")},
      {{"label-smoothing", "label-smoothing-factor", "quantize"}, "it does not do that"},
  };
}

std::string answer_to(const std::string& name, const std::vector<OptionAnswer>& answers) {
  const std::string plain = plain_name(name);
  for (const OptionAnswer& answer : answers) {
    for (const char* const known : answer.names) {
      if (plain == known) return answer.text;
    }
  }
  return "";
}

}  // namespace cllm
