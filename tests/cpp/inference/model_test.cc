// A model in memory gives text, logits and gradients that do not depend on workers or batches.
#include "cllm/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/model_folder.h"
#include "cllm/error.h"
#include "limited_child.h"
#include "temporary_folder.h"
#include "tokenizer_text.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

class ModelFolder : public testing::Test {
 protected:
  /// `favourite`'s embedding, which is its output weight too, is a multiple of the final bias.
  void write(const std::string& folder, int favourite, double strength, bool byte_tokens = true) {
    const ParameterLayout layout(config_);
    std::vector<float> parameters(static_cast<std::size_t>(layout.flat_size()));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i] =
          static_cast<float>(0.1 * normal_pair(random_block(5, RandomStream::kTest, 2, i))[0]);
    }
    float* const bias = parameters.data() + layout.final_norm().bias;
    float* const row = parameters.data() + layout.token_embedding() + favourite * config_.width;
    for (std::int64_t c = 0; c < config_.width; ++c) {
      bias[c] = 1;
      row[c] = static_cast<float>(strength);
    }
    write_model_folder(folder, config_, layout, parameters.data(), byte_tokens);
  }

  static std::string generate(Model& model, const std::string& prompt, std::int64_t tokens,
                              const SamplingOptions& options) {
    std::string text;
    model.generate_text(prompt, tokens, options, [&](const std::string& part) {
      text += part;
      return true;
    });
    return text;
  }

  TemporaryFolder root_;
  ModelConfig config_{1, 2, 16, 24, 270};  // rounded up: 257 to 269 stand for nothing
  SamplingOptions greedy_{0, 0, 1, 1};
};

TEST_F(ModelFolder, FollowsTheWeights) {
  write(root_ / "model", 'q', 3);
  Model model = Model::load(root_ / "model");
  EXPECT_TRUE(model.byte_tokens());
  EXPECT_TRUE(model.config() == config_);
  EXPECT_EQ(generate(model, "To be", 60, greedy_), std::string(60, 'q')) << "past the window too";
  EXPECT_EQ(generate(model, "", 3, greedy_), "qqq");
  EXPECT_EQ(generate(model, "\xff", 0, greedy_), "");
}

TEST_F(ModelFolder, SeedAndPromptDecideTheText) {
  write(root_ / "model", 'q', 0.1);
  Model model = Model::load(root_ / "model");
  SamplingOptions options;
  const std::string once = generate(model, "To be", 50, options);
  EXPECT_EQ(once.size(), 50u);
  EXPECT_EQ(generate(model, "To be", 50, options), once);
  EXPECT_EQ(generate(model, "To be", 20, options), once.substr(0, 20));
  EXPECT_NE(generate(model, "Or not", 50, options), once);
  options.seed = 2;
  EXPECT_NE(generate(model, "To be", 50, options), once);
}

TEST_F(ModelFolder, WhatIsKeptGoesOnAsIfItWereReadAnew) {
  write(root_ / "model", 'q', 0.1);
  Model model = Model::load(root_ / "model");
  std::vector<std::int32_t> text = {'T', 'o'};
  for (const std::int64_t count : {5, 1, 9, 30, 4}) {  // the window of 24 slides
    SCOPED_TRACE(count);
    std::vector<std::int32_t> anew, kept;
    const auto into = [](std::vector<std::int32_t>& found) {
      return [&found](std::int32_t token) {
        found.push_back(token);
        return true;
      };
    };
    model.generate(text, count, greedy_, into(anew));
    model.generate(text, count, greedy_, into(kept), true);
    EXPECT_EQ(kept, anew);
    text.insert(text.end(), kept.begin(), kept.end());
    text.push_back('?');
  }
}

TEST_F(ModelFolder, EndOfTextEndsAndUnusedTokensAreNeverDrawn) {
  write(root_ / "end", kEndOfText, 3);
  Model ends = Model::load(root_ / "end");
  EXPECT_EQ(generate(ends, "To be", 50, greedy_), "");
  write(root_ / "unused", 260, 3);
  Model unused = Model::load(root_ / "unused");
  EXPECT_EQ(generate(unused, "To be", 50, greedy_).size(), 50u);
}

TEST_F(ModelFolder, ABytePairModelWritesWholeCharactersOfItsTokenizer) {
  nlohmann::json json = byte_level_json({"a b"});
  add_token(json, "<e>", true);  // 257
  for (const auto& [favourite, wanted] :
       std::vector<std::pair<int, std::string>>{{256, "ababab"},
                                                {'q', "qqq"},
                                                {0xE2, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
                                                {257, ""}}) {
    const std::string folder = root_ / std::to_string(favourite);
    write(folder, favourite, 3, false);
    root_.file(std::to_string(favourite) + "/tokenizer.json", json.dump());
    Model model = Model::load(folder);
    EXPECT_FALSE(model.byte_tokens());
    EXPECT_EQ(model.encode("cab<e>"), (std::vector<std::int32_t>{'c', 256, 257}));
    EXPECT_EQ(generate(model, "x", 3, greedy_), wanted);
    EXPECT_EQ(generate(model, "", 3, greedy_), wanted);
    EXPECT_THROW(generate(model, "\xff", 3, greedy_), InputError);
  }
  write(root_ / "unused", 260, 3, false);
  root_.file("unused/tokenizer.json", json.dump());
  Model unused = Model::load(root_ / "unused");
  std::int64_t count = 0;
  unused.generate({1}, 5, {0, 0, 1, 1, 258}, [&](std::int32_t token) {
    count += token < 258 ? 1 : 0;
    return true;
  });
  EXPECT_EQ(count, 5);
  EXPECT_NO_THROW(generate(unused, "x", 20, greedy_));
}

TEST_F(ModelFolder, ListenersEndTheText) {
  write(root_ / "model", 0xE2, 3, false);
  root_.file("model/tokenizer.json", byte_level_json({}).dump());
  Model model = Model::load(root_ / "model");
  int calls = 0;
  model.generate_text("x", 9, greedy_, [&](const std::string&) {
    ++calls;
    return false;
  });
  EXPECT_EQ(calls, 1) << "nothing comes after it";
}

TEST_F(ModelFolder, ALongContextTakesMemoryForWhatIsGenerated) {
  ModelConfig config{2, 4, 32, std::int64_t{1} << 24, 270};
  config.family = Family::kLlama;
  const std::string said = say_in_child([&](const SayLine& say) {
    Model model = Model::create(config, 1, false, 1);  // 8 GiB for all of the context
    std::int64_t heard = 0;
    model.generate({1, 2, 3}, 20, greedy_, [&](std::int32_t) { return ++heard > 0; });
    say(std::to_string(heard));
  });
  EXPECT_EQ(said, "20\n");
}

TEST_F(ModelFolder, ContinuesForAsLongAsItIsHeard) {
  Model model = Model::create(config_, 1, false, 1);
  std::int64_t heard = 0;
  model.generate({1, 2, 3}, std::numeric_limits<std::int64_t>::max(), greedy_,
                 [&](std::int32_t) { return ++heard < 90; });
  EXPECT_EQ(heard, 90);
}

TEST_F(ModelFolder, FindsTheModelOfARun) {
  const std::string checkpoints = root_ / "run/checkpoints";
  write(checkpoints + "/" + checkpoint_name(7), 'c', 3);
  update_latest_link(checkpoints, checkpoint_name(7));
  Model latest = Model::load(root_ / "run");
  EXPECT_EQ(generate(latest, "x", 2, greedy_), "cc");
  write(root_ / "run/final", 'f', 3);
  Model final_model = Model::load(root_ / "run");
  EXPECT_EQ(generate(final_model, "x", 2, greedy_), "ff");
  EXPECT_EQ(fs::path(final_model.folder()).filename(), "final");
}

TEST_F(ModelFolder, RefusesClearly) {
  EXPECT_NE(message_of<InputError>([&] { Model::load(root_ / "nowhere"); }).find("no such folder"),
            std::string::npos);
  EXPECT_NE(message_of<InputError>([&] { Model::load(root_.path()); }).find("final/"),
            std::string::npos);
  write(root_ / "ids", 'q', 3, false);
  Model ids = Model::load(root_ / "ids");
  EXPECT_THROW(generate(ids, "x", 2, greedy_), InputError);
  write(root_ / "model", 'q', 3);
  Model model = Model::load(root_ / "model");
  EXPECT_THROW(generate(model, "x", -1, greedy_), InputError);
  EXPECT_THROW(generate(model, "x", 2, SamplingOptions{-1, 0, 1, 1}), InputError);
}

// -- arrays -------------------------------------------------------------------------------------

class ModelArrays : public testing::Test {
 protected:
  ModelArrays() {
    for (std::int64_t i = 0; i < kSequences * kLength; ++i) {
      inputs_.push_back(token(i));
      targets_.push_back(token(i + 9999));
    }
  }

  std::int32_t token(std::int64_t i) const {
    const auto block = random_block(8, RandomStream::kTest, 1, static_cast<std::uint64_t>(i));
    return static_cast<std::int32_t>(random_bits64(block, 0) %
                                     static_cast<std::uint64_t>(config_.vocabulary));
  }
  TokenArray rows(const std::vector<std::int32_t>& tokens, std::int64_t first,
                  std::int64_t count) const {
    return {tokens.data() + first * kLength, count, kLength};
  }
  TokenArray all(const std::vector<std::int32_t>& tokens) const {
    return rows(tokens, 0, kSequences);
  }
  std::vector<float> logits(Model& model, const TokenArray& tokens) const {
    std::vector<float> out(
        static_cast<std::size_t>(tokens.sequences * tokens.length * config_.vocabulary), -99.0f);
    model.logits(tokens, out.data());
    return out;
  }
  /// Gradients of all tensors, one after another, behind the loss.
  std::vector<double> gradients(Model& model) const {
    std::vector<std::vector<float>> arrays;
    std::vector<float*> out;
    for (const Tensor& tensor : model.parameters()) {
      std::int64_t size = 1;
      for (const std::int64_t n : tensor.shape) size *= n;
      arrays.emplace_back(static_cast<std::size_t>(size));
    }
    for (auto& array : arrays) out.push_back(array.data());
    std::vector<double> found = {model.loss_and_gradients(all(inputs_), all(targets_), out)};
    for (const auto& array : arrays) found.insert(found.end(), array.begin(), array.end());
    return found;
  }

  // More than one round of forward passes: a shard holds 1024 / 17 sequences.
  static constexpr std::int64_t kLength = 17, kSequences = 48 * (1024 / kLength) + 5;
  ModelConfig config_{2, 3, 36, 20, 77};
  std::vector<std::int32_t> inputs_, targets_;
};

TEST_F(ModelArrays, LogitsDependOnTheirSequenceAlone) {
  Model one = Model::create(config_, 3, false, 1), three = Model::create(config_, 3, false, 3);
  const std::vector<float> together = logits(one, all(inputs_));
  EXPECT_EQ(logits(three, all(inputs_)), together);
  const std::int64_t row = kLength * config_.vocabulary;
  for (const std::int64_t s : {std::int64_t{0}, std::int64_t{59}, kSequences - 1}) {
    const std::vector<float> alone = logits(three, rows(inputs_, s, 1));
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + s * row)) << s;
  }
}

TEST_F(ModelArrays, LongSequencesThatShareWorkspacesGiveTheSameLogits) {
  constexpr std::int64_t kLong = 5000;
  config_ = {2, 3, 12, kLong, 11};
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < 4 * kLong; ++i) {
    tokens.push_back(static_cast<std::int32_t>(i * i % 11));
  }
  const TokenArray array{tokens.data(), 4, kLong};
  Model one = Model::create(config_, 3, false, 1);
  const std::vector<float> alone = logits(one, array);
  for (const std::int64_t workers : {2, 3, 5}) {
    Model more = Model::create(config_, 3, false, workers);
    EXPECT_EQ(logits(more, array), alone) << workers << " workers";
  }
}

TEST_F(ModelArrays, LossAndGradientsBelongToTheLogits) {
  Model one = Model::create(config_, 3, false, 1), three = Model::create(config_, 3, false, 3);
  const std::vector<double> found = gradients(one);
  EXPECT_EQ(gradients(three), found);
  EXPECT_EQ(gradients(three), found) << "a gradient changes nothing";

  const std::vector<float> all_logits = logits(one, all(inputs_));
  double loss = 0;
  for (std::size_t r = 0; r < targets_.size(); ++r) {
    const float* row = all_logits.data() + r * static_cast<std::size_t>(config_.vocabulary);
    double sum = 0;
    for (std::int64_t v = 0; v < config_.vocabulary; ++v) {
      sum += std::exp(static_cast<double>(row[v]));
    }
    loss += std::log(sum) - static_cast<double>(row[targets_[r]]);
  }
  EXPECT_NEAR(found[0], loss / static_cast<double>(targets_.size()), 1e-5);

  // A step against the gradient lowers the loss by its squared norm times the step.
  double norm = 0;
  for (std::size_t i = 1; i < found.size(); ++i) norm += found[i] * found[i];
  constexpr double kStep = 1e-3;
  std::size_t at = 1;
  for (const Tensor& tensor : one.parameters()) {
    std::int64_t size = 1;
    for (const std::int64_t n : tensor.shape) size *= n;
    for (std::int64_t i = 0; i < size; ++i) {
      tensor.data.get()[i] -= static_cast<float>(kStep * found[at++]);
    }
  }
  EXPECT_NEAR((found[0] - gradients(one)[0]) / (kStep * norm), 1, 0.02);
}

TEST_F(ModelArrays, SavesWhatItHolds) {
  TemporaryFolder root;
  Model model = Model::create(config_, 3, false, 1);
  model.parameters()[0].data.get()[5] = 42;
  model.save(root / "model");
  Model loaded = Model::load(root / "model", 1);
  EXPECT_TRUE(loaded.config() == config_);
  EXPECT_EQ(logits(loaded, rows(inputs_, 0, 2)), logits(model, rows(inputs_, 0, 2)));
}

TEST_F(ModelArrays, RefusesClearly) {
  Model model = Model::create(config_, 3, false, 1);
  const auto complaint = [&](const TokenArray& tokens) {
    return message_of<InputError>([&] { logits(model, tokens); });
  };
  EXPECT_NE(complaint({inputs_.data(), 0, 3}).find("[0, 3]"), std::string::npos);
  EXPECT_NE(complaint({inputs_.data(), 1, 21}).find("at most 20"), std::string::npos);
  inputs_[kLength + 2] = 77;
  EXPECT_NE(complaint(all(inputs_)).find("tokens[1, 2]"), std::string::npos);
  targets_[0] = -2;  // -1 would not be counted
  EXPECT_NE(message_of<InputError>([&] { gradients(model); }).find("inputs[1, 2]"),
            std::string::npos);
  inputs_[kLength + 2] = 0;
  EXPECT_NE(message_of<InputError>([&] { gradients(model); }).find("targets[0, 0]"),
            std::string::npos);
  EXPECT_THROW(model.loss_and_gradients(rows(inputs_, 0, 2), rows(inputs_, 0, 1), {}), InputError);
  EXPECT_THROW(Model::create(config_, 3, true), InputError) << "too few tokens for bytes";
  EXPECT_THROW(Model::create(config_, 3, false, -1), InputError);
}

}  // namespace
}  // namespace cllm
