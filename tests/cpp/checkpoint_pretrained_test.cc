// Generating text from a folder: the same text each time, run folders, and models that cannot.
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "base/rng.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/model_folder.h"
#include "cllm/error.h"
#include "cllm/pretrained.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

class Pretrained : public testing::Test {
 protected:
  Pretrained() {
    config_.layers = 1;
    config_.heads = 2;
    config_.width = 16;
    config_.positions = 24;
    config_.vocabulary = 270;  // rounded up: 257 to 269 stand for nothing
  }

  /// `favourite`'s embedding, which is its output weight too, is a multiple of the final bias.
  void write(const std::string& folder, int favourite, double strength, bool byte_tokens = true) {
    const ParameterLayout layout(config_);
    std::vector<float> parameters(static_cast<std::size_t>(layout.flat_size()));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i] =
          static_cast<float>(0.1 * normal_pair(random_block(5, RandomStream::kTest, 2, i))[0]);
    }
    float* const bias = parameters.data() + layout.final_bias();
    float* const row = parameters.data() + layout.token_embedding() + favourite * config_.width;
    for (std::int64_t c = 0; c < config_.width; ++c) {
      bias[c] = 1;
      row[c] = static_cast<float>(strength);
    }
    write_model_folder(folder, config_, layout, parameters.data(), byte_tokens);
  }

  static std::string generate(PretrainedModel& model, const std::string& prompt,
                              std::int64_t tokens, const SamplingOptions& options) {
    std::string text;
    model.generate(prompt, tokens, options, [&](const std::string& part) { text += part; });
    return text;
  }

  TemporaryFolder root_;
  ModelConfig config_;
  SamplingOptions greedy_{0, 0, 1, 1};
};

TEST_F(Pretrained, FollowsTheWeights) {
  write(root_ / "model", 'q', 3);
  PretrainedModel model = PretrainedModel::load(root_ / "model");
  EXPECT_TRUE(model.byte_tokens());
  EXPECT_TRUE(model.config() == config_);
  EXPECT_EQ(generate(model, "To be", 60, greedy_), std::string(60, 'q')) << "past the window too";
  EXPECT_EQ(generate(model, "", 3, greedy_), "qqq");
  EXPECT_EQ(generate(model, "\xff", 0, greedy_), "");
}

TEST_F(Pretrained, SeedAndPromptDecideTheText) {
  write(root_ / "model", 'q', 0.1);
  PretrainedModel model = PretrainedModel::load(root_ / "model");
  SamplingOptions options;
  const std::string once = generate(model, "To be", 50, options);
  EXPECT_EQ(once.size(), 50u);
  EXPECT_EQ(generate(model, "To be", 50, options), once);
  EXPECT_EQ(generate(model, "To be", 20, options), once.substr(0, 20));
  EXPECT_NE(generate(model, "Or not", 50, options), once);
  options.seed = 2;
  EXPECT_NE(generate(model, "To be", 50, options), once);
}

TEST_F(Pretrained, EndOfTextEndsAndUnusedTokensAreNeverDrawn) {
  write(root_ / "end", kEndOfText, 3);
  PretrainedModel ends = PretrainedModel::load(root_ / "end");
  EXPECT_EQ(generate(ends, "To be", 50, greedy_), "");
  write(root_ / "unused", 260, 3);
  PretrainedModel unused = PretrainedModel::load(root_ / "unused");
  EXPECT_EQ(generate(unused, "To be", 50, greedy_).size(), 50u);
}

TEST_F(Pretrained, FindsTheModelOfARun) {
  const std::string checkpoints = root_ / "run/checkpoints";
  write(checkpoints + "/" + checkpoint_name(7), 'c', 3);
  update_latest_link(checkpoints, checkpoint_name(7));
  PretrainedModel latest = PretrainedModel::load(root_ / "run");
  EXPECT_EQ(generate(latest, "x", 2, greedy_), "cc");
  write(root_ / "run/final", 'f', 3);
  PretrainedModel final_model = PretrainedModel::load(root_ / "run");
  EXPECT_EQ(generate(final_model, "x", 2, greedy_), "ff");
  EXPECT_EQ(fs::path(final_model.folder()).filename(), "final");
}

TEST_F(Pretrained, RefusesClearly) {
  EXPECT_NE(message_of<InputError>([&] {
              PretrainedModel::load(root_ / "nowhere");
            }).find("no such folder"),
            std::string::npos);
  EXPECT_NE(message_of<InputError>([&] { PretrainedModel::load(root_.path()); }).find("final/"),
            std::string::npos);
  write(root_ / "ids", 'q', 3, false);
  PretrainedModel ids = PretrainedModel::load(root_ / "ids");
  EXPECT_THROW(generate(ids, "x", 2, greedy_), InputError);
  write(root_ / "model", 'q', 3);
  PretrainedModel model = PretrainedModel::load(root_ / "model");
  EXPECT_THROW(generate(model, "x", -1, greedy_), InputError);
  EXPECT_THROW(generate(model, "x", 2, SamplingOptions{-1, 0, 1, 1}), InputError);
}

}  // namespace
}  // namespace cllm
