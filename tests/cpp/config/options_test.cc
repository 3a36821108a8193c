// The option table is tested here: every field, every range, texts that read back exactly, errors
// that name the option, and config.toml.
#include "cllm/options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "cllm/error.h"
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

std::string set_error(const std::string& name, const std::string& value) {
  TrainConfig config;
  return error_of([&] { set_option(config, name, value); });
}

/// Another valid value than the default.
std::string other_value(const Option& option) {
  if (!option.choices.empty()) return option.choices.back();
  switch (option.type) {
    case OptionType::kString:
      return "some \\ \"path\" # 'x', \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 = [a] \t end";
    case OptionType::kFlag:
      return "true";
    case OptionType::kInteger:
      return "7";
    case OptionType::kReal:
      break;
  }
  return "0.30000000000000004";
}

TEST(Options, NamesAreUniqueAndComplete) {
  std::set<std::string> names;
  for (const Option& option : options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_NE(option.help.back(), '.') << option.name;
    EXPECT_EQ(find_option(option.key), &option);
    if (option.type == OptionType::kInteger || option.type == OptionType::kReal) {
      EXPECT_TRUE(std::isfinite(option.range.low) && std::isfinite(option.range.high));
    }
    EXPECT_EQ(find_option(option.name), &option);
  }
  for (const char* name :
       {"data",       "val",           "out",           "vocab",        "layers",
        "heads",      "dim",           "seq",           "no-bias",      "batch",
        "grad-accum", "steps",         "epochs",        "lr",           "min-lr",
        "warmup",     "schedule",      "weight-decay",  "beta1",        "beta2",
        "epsilon",    "clip",          "seed",          "workers",      "threads",
        "symmetry",   "positions",     "routing",       "gemm",         "precision",
        "init",       "resume",        "eval-every",    "save-every",   "keep",
        "log-every",  "spheres-every", "quiet",         "activate-all", "recompute",
        "dropout",    "skip-limit",    "on-divergence", "keep-best",    "eval-tokens",
        "overwrite",  "patience",      "preset",        "family",       "kv-heads",
        "head-dim",   "hidden",        "rope-theta",    "untied",       "save-dtype",
        "lattice",    "lattice-lr",    "lora",          "lora-rank",    "lora-alpha",
        "rslora",     "lora-dropout",  "lora-targets",  "lora-init",    "lora-modules-to-save"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
  // A name that two options have would set or suggest the wrong one.
  for (const Option& option : options()) {
    for (const OptionAlias& alias : option.aliases) {
      EXPECT_TRUE(names.insert(alias.name()).second) << alias.key;
    }
    for (const std::string& also : option.also) {
      EXPECT_TRUE(names.insert(also).second) << also;
    }
  }
}

TEST(Options, EachSetsItsOwnFieldAndNoOther) {
  for (const Option& option : options()) {
    TrainConfig config;
    set_option(config, option.name, other_value(option));
    for (const Option& each : options()) {
      const std::string expected = &each == &option ? other_value(option) : each.default_text;
      EXPECT_EQ(option_text(config, each), expected) << option.name << " seen in " << each.name;
    }
    set_option(config, option.key, option.default_text);
    EXPECT_EQ(option_text(config, option), option.default_text) << option.name;
  }
}

TEST(Options, FlagOfANegationClearsItsField) {
  TrainConfig config;
  set_option(config, "no-bias", "true");
  EXPECT_FALSE(config.bias);
  set_option(config, "no_bias", "false");
  EXPECT_TRUE(config.bias);
}

TEST(Options, AutoIsTheSentinelOfTheField) {
  TrainConfig config;
  for (const char* name :
       {"min-lr", "warmup", "eval-every", "eval-tokens", "save-every", "log-every", "seq", "steps",
        "epochs", "positions", "vocab", "threads", "workers"}) {
    set_option(config, name, "1");
    EXPECT_NE(option_text(config, *find_option(name)), "auto") << name;
    set_option(config, name, "auto");
    EXPECT_EQ(option_text(config, *find_option(name)), "auto") << name;
  }
  EXPECT_LT(config.min_learning_rate, 0);
  EXPECT_LT(config.warmup, 0);
  EXPECT_EQ(config.sequence, 0);
  EXPECT_TRUE(has(set_error("batch", "auto"), "--batch"));
  EXPECT_TRUE(has(set_error("warmup", "-1"), "auto, or an integer of at least 0"));
}

TEST(Options, RefusesWhatIsNotANumber) {
  for (const char* name : {"lr", "batch", "beta1", "epsilon", "epochs", "min-lr", "workers"}) {
    for (const char* value : {"",     " ",   "nan",      "-nan",  "inf",
                              "-inf", "NaN", "infinity", "1e999", "1x",
                              "1 ",   " 1",  "0x10",     "1,5",   "--1",
                              "+-1",  "+",   "1e",       "12e",   "99999999999999999999",
                              "-1",   "true"}) {
      const std::string error = set_error(name, value);
      EXPECT_TRUE(has(error, std::string("--") + name + ": ")) << name << " " << value;
      EXPECT_TRUE(has(error, std::string("\"") + value + "\"")) << error;
      EXPECT_TRUE(has(error, "expected ")) << error;
    }
  }
}

TEST(Options, ReadsNumbersExactly) {
  TrainConfig config;
  set_option(config, "lr", "1e-3");
  EXPECT_EQ(config.learning_rate, 1e-3);
  set_option(config, "lr", "+.5");
  EXPECT_EQ(config.learning_rate, 0.5);
  set_option(config, "seed", "9007199254740992");
  EXPECT_EQ(config.seed, 9007199254740992);
  EXPECT_TRUE(has(set_error("steps", "1e3"), "write 1000"));
  for (const double value : {0.1, 1.0 / 3, 5e-324, 1e-8, 123456.789, 1.0}) {
    config.learning_rate = value;
    const std::string text = option_text(config, *find_option("lr"));
    config.learning_rate = 0;
    set_option(config, "lr", text);
    EXPECT_EQ(config.learning_rate, value) << text;
  }
}

TEST(Options, RangesHaveTheEndsTheySay) {
  EXPECT_EQ(set_error("dropout", "0"), "");
  EXPECT_EQ(set_error("dropout", "0.999"), "");
  for (const char* value : {"-0.1", "1", "nan", "inf", "ten"}) {
    EXPECT_TRUE(has(set_error("dropout", value), "at least 0 and below 1")) << value;
  }
  EXPECT_EQ(set_error("beta1", "0"), "");
  EXPECT_TRUE(has(set_error("beta1", "1"), "at least 0 and below 1"));
  EXPECT_EQ(set_error("beta1", "0.9999999999999999"), "");
  for (const char* value : {"0", "1e-50", "1e-300", "9e-17"}) {
    EXPECT_TRUE(has(set_error("epsilon", value), "from 1e-16 to 1")) << value;
  }
  EXPECT_EQ(set_error("epsilon", "1e-16"), "");
  EXPECT_EQ(set_error("clip", "0"), "");
  EXPECT_EQ(set_error("clip", "1e-6"), "");
  for (const char* value : {"1e-50", "-1", "1e13"}) {
    EXPECT_TRUE(has(set_error("clip", value), "0, or a number from 1e-06 to 1e+12")) << value;
  }
  EXPECT_TRUE(has(set_error("symmetry", "0"), "from 1 to 4096"));
  EXPECT_EQ(set_error("symmetry", "1"), "");
  EXPECT_TRUE(has(set_error("workers", "0"), "auto, or an integer from 1"));
  EXPECT_TRUE(has(set_error("keep", "0"), "of at least 1"));
  EXPECT_TRUE(has(set_error("epochs", "0"), "above 0"));
}

TrainConfig complete() {
  TrainConfig config;
  config.data = "a.txt";
  config.out = "run";
  return config;
}

TEST(CheckConfig, AcceptsDefaultsAndNamesEachContradiction) {
  EXPECT_EQ(error_of([] { check(complete()); }), "");
  const auto error_with = [](const std::function<void(TrainConfig&)>& change) {
    TrainConfig config = complete();
    change(config);
    return error_of([&] { check(config); });
  };
  const double nan = std::nan("");
  EXPECT_TRUE(has(error_with([](auto& c) { c.data.clear(); }), "--data"));
  EXPECT_EQ(error_with([](auto& c) { c.out.clear(); }), "") << "a run may keep nothing";
  EXPECT_TRUE(has(error_with([](auto& c) { c.out.clear(), c.on_divergence = "rollback"; }),
                  "--on-divergence"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.heads = 5; }), "--heads"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.heads = 5; }), "4 or 8"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.heads = 200; }), "expected 128 "));
  EXPECT_TRUE(has(error_with([&](auto& c) { c.learning_rate = nan; }), "--lr"));
  EXPECT_TRUE(has(error_with([&](auto& c) { c.min_learning_rate = nan; }), "--min-lr"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.min_learning_rate = 2e-3; }), "at most --lr = 0.001"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.min_learning_rate = 2e-4, c.init = "m"; }),
                  "at most --lr = 1e-04"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.weight_decay = -1; }), "--weight-decay"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.beta2 = 1; }), "--beta2"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.batch = 0; }), "--batch"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.symmetry = 0; }), "--symmetry"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.workers = "0"; }), "--workers"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.workers = "few"; }), "--workers"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.workers = "2", c.threads = 4; }), "--threads"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.steps = 5, c.epochs = 1; }), "--epochs"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.positions = 13, c.batch = 64; }), "--positions"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.positions = 8, c.batch = 4; }), "--positions"));
  EXPECT_EQ(error_with([](auto& c) { c.positions = 8, c.batch = 4, c.grad_accum = 2; }), "");
  EXPECT_TRUE(has(error_with([](auto& c) { c.schedule = "steps"; }), "--schedule"));
  EXPECT_TRUE(has(error_with([](auto& c) { c.gemm = "mkl"; }), "--gemm"));
  EXPECT_EQ(error_with([](auto& c) { c.data.clear(), c.out.clear(), c.resume = "run"; }), "");
}

TEST(Toml, HoldsEveryOptionThroughARoundTrip) {
  TrainConfig config;
  for (const Option& option : options()) set_option(config, option.name, other_value(option));
  config.resume.clear();
  config.overwrite = false;
  config.out = std::string("control \x01\x1f\x7f\n\r\b end \\");
  TrainConfig read;
  apply_toml(read, to_toml(config), "config.toml");
  for (const Option& option : options()) {
    EXPECT_EQ(option_text(read, option), option_text(config, option)) << option.name;
  }
  EXPECT_EQ(to_toml(read), to_toml(config));
  TrainConfig defaults;
  apply_toml(read, to_toml(defaults), "config.toml");
  EXPECT_EQ(to_toml(read), to_toml(defaults));
}

TEST(Toml, ReadsWhatPeopleWrite) {
  TrainConfig config;
  apply_toml(config,
             "\n# a comment\r\n  data = 'C:\\new # one'  # another\r\n\"grad_accum\"=3\n"
             "lr=+2e-4# close\nno_bias = true\nworkers = 4\nval = \"\\u00e9\\U0001F600\\t\\\"\"",
             "f");
  EXPECT_EQ(config.data, "C:\\new # one");
  EXPECT_EQ(config.grad_accum, 3);
  EXPECT_EQ(config.learning_rate, 2e-4);
  EXPECT_FALSE(config.bias);
  EXPECT_EQ(config.workers, "4");
  EXPECT_EQ(config.validation, "\xC3\xA9\xF0\x9F\x98\x80\t\"");
}

TEST(Toml, ErrorsNameFileLineAndKey) {
  const auto error = [](const std::string& text) {
    TrainConfig config;
    return error_of([&] { apply_toml(config, text, "f.toml"); });
  };
  EXPECT_TRUE(has(error("batch = 4\nlayer = 2\n"), "f.toml:2: unknown option"));
  EXPECT_TRUE(has(error("batch = 4\nlayer = 2\n"), "did you mean \"layers\""));
  EXPECT_TRUE(has(error("weight_decya = 2"), "did you mean \"weight_decay\""));
  EXPECT_TRUE(has(error("\n\nlr = nan"), "f.toml:3: lr: "));
  EXPECT_TRUE(has(error("lr = \"fast\""), "\"fast\""));
  EXPECT_TRUE(has(error("lr = 1\nlr = 2"), "f.toml:2: a key given twice"));
  EXPECT_TRUE(has(error("[model]\nlayers = 2"), "f.toml:1: "));
  EXPECT_TRUE(has(error("layers"), "f.toml:1: no value"));
  EXPECT_TRUE(has(error("layers ="), "f.toml:1: no value"));
  EXPECT_TRUE(has(error("layers = 2 3"), "something after the value"));
  EXPECT_TRUE(has(error("layers = [2]"), "not one value"));
  EXPECT_TRUE(has(error("data = \"open"), "does not end"));
  EXPECT_TRUE(has(error("data = \"open\\"), "f.toml:1: "));
  EXPECT_TRUE(has(error("data = \"\\q\""), "unknown escape"));
  EXPECT_TRUE(has(error("data = \"\\ud800\""), "unknown escape"));
  EXPECT_TRUE(has(error("data = \"\\u12\""), "unknown escape"));
}

}  // namespace
}  // namespace cllm
