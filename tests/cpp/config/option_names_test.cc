// Names of options are tested here: those of other programs, near ones, and what is said of names
// that mean nothing here.
#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

#include "base/given_names.h"
#include "cllm/error.h"
#include "cllm/options.h"
#include "cllm/run_config.h"
#include "has.h"

namespace cllm {
namespace {

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string hint(const std::string& name) {
  return unknown_option_hint(name, Wording::kCommandLine, {"config"});
}

/// Makes messages Python's while it lives.
struct Keywords {
  Keywords() { set_wording(Wording::kKeywords); }
  ~Keywords() { set_wording(Wording::kCommandLine); }
};

TEST(OptionNames, OfOtherProgramsAreAccepted) {
  for (const auto& [alias, name] : std::vector<std::pair<std::string, std::string>>{
           {"learning_rate", "lr"},
           {"max_iters", "steps"},
           {"max_steps", "steps"},
           {"n_layer", "layers"},
           {"n_head", "heads"},
           {"n_embd", "dim"},
           {"block_size", "seq"},
           {"batch_size", "batch"},
           {"per_device_train_batch_size", "batch"},
           {"gradient_accumulation_steps", "grad-accum"},
           {"num_train_epochs", "epochs"},
           {"eval_steps", "eval-every"},
           {"eval_interval", "eval-every"},
           {"save_steps", "save-every"},
           {"logging_steps", "log-every"},
           {"log_interval", "log-every"},
           {"warmup_steps", "warmup"},
           {"warmup_iters", "warmup"},
           {"max_grad_norm", "clip"},
           {"grad_clip", "clip"},
           {"adam_beta1", "beta1"},
           {"adam_beta2", "beta2"},
           {"adam_epsilon", "epsilon"},
           {"output_dir", "out"},
           {"out_dir", "out"},
           {"resume_from_checkpoint", "resume"},
           {"train_file", "data"},
           {"min_learning_rate", "min-lr"},
           {"gradient_checkpointing", "recompute"},
           {"early_stopping_patience", "patience"},
           {"bf16", "precision"}}) {
    const Option* const option = find_option(name);
    ASSERT_NE(option, nullptr) << name;
    EXPECT_EQ(find_option(alias), option) << alias;
    EXPECT_EQ(named_option(alias).alias->key, alias);
  }
  TrainConfig config;
  set_option(config, "gradient-accumulation-steps", "3");
  set_option(config, "weight-decay", "0.5");
  EXPECT_EQ(config.grad_accum, 3);
  EXPECT_TRUE(is_given(config, *find_option("grad-accum")));
}

TEST(OptionNames, AnAliasCanBeAFlagForOneValue) {
  TrainConfig config;
  set_option(config, "bf16", "true");
  EXPECT_EQ(config.precision, "bf16");
  set_option(config, "bf16", "false");
  EXPECT_EQ(config.precision, "fp32");
  EXPECT_EQ(error_of([&] { set_option(config, "bf16", "yes"); }),
            "--bf16: not a yes or no: got \"yes\", expected true or false");
}

TEST(OptionNames, ErrorsUseTheNameThatWasGiven) {
  TrainConfig config;
  EXPECT_TRUE(has(error_of([&] { set_option(config, "learning-rate", "nan"); }),
                  "--learning-rate: not a number"));
  config.data = "a.txt";
  config.out = "run";
  set_options(config, {{"n-head", "5"}, {"n_embd", "64"}});
  EXPECT_EQ(error_of([&] { check(config); }),
            "--n-head: heads do not divide the width: got 5, expected 4 or 8 (--n_embd is 64)");
  const Keywords keywords;
  EXPECT_EQ(error_of([&] { check(config); }),
            "n_head: heads do not divide the width: got 5, expected 4 or 8 (n_embd is 64)");
  set_option(config, "heads", "5");
  EXPECT_TRUE(has(error_of([&] { check(config); }), "heads: heads do not"));
}

TEST(OptionNames, OneOptionIsGivenOnce) {
  const auto error = [](std::vector<std::pair<std::string, std::string>> given) {
    return error_of([&] { run_config({"", std::move(given)}); });
  };
  EXPECT_EQ(error({{"lr", "1"}, {"learning-rate", "1"}}),
            "--lr and --learning-rate: two names of one option are given: expected one of them");
  EXPECT_TRUE(has(error({{"eval-steps", "1"}, {"eval_interval", "1"}}),
                  "--eval-steps and --eval_interval: two names"));
  EXPECT_TRUE(has(error({{"bf16", "true"}, {"precision", "fp32"}}), "--bf16 and --precision: "));
  EXPECT_EQ(error({{"lr", "1"}, {"lr", "2"}}), "--lr: given twice: expected once");
  TrainConfig config;
  EXPECT_EQ(error_of([&] { apply_toml(config, "lr = 1\n\nlearning_rate = 1\n", "f"); }),
            "f:3: two names of one option are given: got lr and learning_rate, expected one of "
            "them");
}

TEST(OptionNames, FilesTakeThemAndAreWrittenWithoutThem) {
  TrainConfig config;
  apply_toml(config, "learning_rate = 0.5\nbf16 = true\nn_layer = 2\n\"out-dir\" = \"run\"\n", "f");
  EXPECT_EQ(config.learning_rate, 0.5);
  EXPECT_EQ(config.precision, "bf16");
  EXPECT_EQ(config.layers, 2);
  EXPECT_EQ(config.out, "run");
  const std::string text = to_toml(config);
  EXPECT_TRUE(has(text, "\nlr = 0.5\n"));
  EXPECT_FALSE(has(text, "\nlearning_rate"));
}

TEST(OptionNames, ANearNameIsSuggested) {
  EXPECT_EQ(hint("--bacth"), "did you mean --batch?");
  EXPECT_EQ(hint("--laers"), "did you mean --layers?");
  EXPECT_EQ(hint("--weight_deacy"), "did you mean --weight-decay?");
  EXPECT_EQ(hint("--learning-rat"), "did you mean --learning-rate?");
  EXPECT_EQ(hint("--confg"), "did you mean --config?");
  EXPECT_EQ(unknown_option_hint("weight_deacy", Wording::kKeywords),
            "did you mean \"weight_decay\"?");
  TrainConfig config;
  EXPECT_TRUE(has(error_of([&] { set_option(config, "schedule", "cosin"); }),
                  "expected cosine, linear, constant or wsd (did you mean \"cosine\"?)"));
  EXPECT_FALSE(has(error_of([&] { set_option(config, "schedule", "poly"); }), "did you mean"));
}

TEST(OptionNames, AWordOfAnotherProgramIsAnswered) {
  EXPECT_EQ(hint("--dtype=bfloat16"), "float32 is --precision fp32, bfloat16 is --precision bf16");
  EXPECT_TRUE(has(hint("--init_from=resume"), "--resume RUN"));
  EXPECT_TRUE(has(hint("--init_from=gpt2"), "save_pretrained"));
  EXPECT_TRUE(has(hint("--eval_iters"), "--eval-tokens counts tokens"));
  EXPECT_TRUE(has(hint("--backend"), "one process"));
  EXPECT_TRUE(has(hint("--dataset"), "--data names"));
  EXPECT_TRUE(has(hint("--early-stopping-threshold"), "min_delta"));
  EXPECT_EQ(hint("--hidden_size"), "did you mean --dim?");
  EXPECT_TRUE(has(hint("--fp16"), "--precision bf16"));
  EXPECT_TRUE(has(hint("--device"), "--workers"));
  EXPECT_TRUE(has(hint("--compile"), "compiled"));
  EXPECT_TRUE(has(hint("--optim"), "AdamW"));
  EXPECT_TRUE(has(hint("--save_total_limit"), "--keep"));
  const Keywords keywords;
  EXPECT_TRUE(has(hint("fp16"), "precision=\"bf16\""));
}

TEST(OptionNames, AValueOfAnotherProgramIsAnswered) {
  TrainConfig config;
  const auto error = [&](const char* name, const char* value) {
    return error_of([&] { set_option(config, name, value); });
  };
  EXPECT_TRUE(has(error("precision", "bfloat16"), "did you mean \"bf16\"?"));
  EXPECT_TRUE(has(error("precision", "float32"), "did you mean \"fp32\"?"));
  EXPECT_TRUE(has(error("lr_scheduler_type", "constant_with_warmup"), "mean \"constant\"?"));
  EXPECT_FALSE(has(error("gemm", "float32"), "did you mean"));
  EXPECT_TRUE(has(error("max_steps", "-1"),
                  "leave it out, or say the passes over the data: "
                  "--epochs N"));
  EXPECT_FALSE(has(error("layers", "-1"), "leave it out"));
  set_option(config, "keep-best", "True");
  EXPECT_TRUE(config.keep_best);
  set_option(config, "keep-best", "False");
  EXPECT_FALSE(config.keep_best);
}

TEST(OptionNames, NothingIsSuggestedForWhatIsNotNear) {
  for (const char* name : {"--foo", "--xyzzy", "--x", "--seriously", "--"}) {
    EXPECT_EQ(hint(name), "see --help") << name;
  }
  const Keywords keywords;
  EXPECT_EQ(hint("foo"), "cllm.options() lists them");
}

TEST(Wording, NamesOptionsAsTheirReaderWritesThem) {
  EXPECT_EQ(option_word("eval-every"), "--eval-every");
  EXPECT_EQ(option_word("resume", "run"), "--resume run");
  const Keywords keywords;
  EXPECT_EQ(option_word("eval-every"), "eval_every");
  EXPECT_EQ(option_word("resume", "run"), "resume=\"run\"");
  EXPECT_EQ(option_word("vocab", "N"), "vocab=N");
  EXPECT_EQ(option_word("vocab", "50257"), "vocab=50257");
  const std::map<std::string, std::string> names{{"lr", "learning_rate"}};
  {
    const GivenNames given(names);
    EXPECT_EQ(option_word("lr"), "learning_rate");
  }
  EXPECT_EQ(option_word("lr"), "lr");
}

}  // namespace
}  // namespace cllm
