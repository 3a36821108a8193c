// Step batches and evaluation windows are pure functions that reach every token, and no token
// twice.
#include "data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

#include "cllm/error.h"
#include "data/evaluation_windows.h"
#include "data/sequence_length.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Tokens = std::vector<std::int32_t>;

/// Token i is i, so that a token tells where it came from.
class CountingSource {
 public:
  explicit CountingSource(std::int32_t count) {
    Tokens tokens;
    for (std::int32_t i = 0; i < count; ++i) tokens.push_back(i);
    write_token_file(folder_ / "t", tokens, 100'000, 4);
    source_ = std::make_unique<TokenSource>(folder_ / "t");
  }
  const TokenSource& operator*() const { return *source_; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<TokenSource> source_;
};

struct Batch {
  Tokens inputs;
  Tokens targets;
};

Batch draw(const Sampler& sampler, std::int64_t step) {
  const auto size = static_cast<std::size_t>(sampler.rows() * sampler.sequence());
  Batch batch{Tokens(size, -7), Tokens(size, -7)};
  sampler.fill(step, batch.inputs.data(), batch.targets.data());
  return batch;
}

TEST(Split, TheLastTenthValidates) {
  const CountingSource source(30);
  for (std::int64_t size = 0; size <= 30; ++size) {
    const TokenRange all{&*source, 0, size};
    const Split split = split_train_validation(all);
    const std::int64_t train = size * 9 / 10;
    if (size - train >= 2) {
      EXPECT_EQ(split.train.size(), train) << size;
      EXPECT_EQ(split.validation.begin, split.train.end) << size;
      EXPECT_EQ(split.validation.end, size) << size;
    } else {
      EXPECT_TRUE(split.validation.empty()) << size;
      EXPECT_EQ(split.train.size(), size) << size;
    }
  }
  EXPECT_EQ(split_train_validation({&*source, 10, 30}).validation.begin, 28);
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(split_train_validation({&*source, 0, huge}).train.end, huge / 10 * 9 + 3);
}

TEST(Sampler, TargetsFollowInputsInsideTheRange) {
  const CountingSource source(500);
  const TokenRange range{&*source, 100, 400};
  const Sampler sampler(range, 13, 48, 1);
  for (std::int64_t step = 0; step < 50; ++step) {
    const Batch batch = draw(sampler, step);
    for (std::size_t row = 0; row < 13; ++row) {
      const std::int32_t start = batch.inputs[row * 48];
      ASSERT_EQ(start, 100 + sampler.offset(step, static_cast<std::int64_t>(row)));
      ASSERT_GE(start, 100);
      for (std::size_t t = 0; t < 48; ++t) {
        const auto expected = start + static_cast<std::int32_t>(t);
        ASSERT_EQ(batch.inputs[row * 48 + t], expected);
        ASSERT_EQ(batch.targets[row * 48 + t], expected + 1);
        ASSERT_LT(expected + 1, 400);
      }
    }
  }
}

TEST(Sampler, IsAPureFunctionOfSeedAndStep) {
  const CountingSource source(5000);
  const Sampler a(whole(*source), 4, 16, 42);
  const Batch tenth = draw(a, 10);
  draw(a, 11);
  EXPECT_EQ(draw(a, 10).inputs, tenth.inputs) << "no state";
  EXPECT_EQ(draw(Sampler(whole(*source), 4, 16, 42), 10).inputs, tenth.inputs);
  EXPECT_NE(draw(a, 11).inputs, tenth.inputs);
  EXPECT_NE(draw(Sampler(whole(*source), 4, 16, 43), 10).inputs, tenth.inputs);
}

TEST(Sampler, ALargerBatchBeginsWithTheSmallerOne) {
  const CountingSource source(5000);
  const Batch small = draw(Sampler(whole(*source), 3, 16, 42), 10);
  const Batch large = draw(Sampler(whole(*source), 7, 16, 42), 10);
  EXPECT_TRUE(std::equal(small.inputs.begin(), small.inputs.end(), large.inputs.begin()));
  EXPECT_TRUE(std::equal(small.targets.begin(), small.targets.end(), large.targets.begin()));
}

TEST(Sampler, EveryStartIsReachedAboutEquallyOften) {
  const CountingSource source(20);
  const Sampler sampler(whole(*source), 8, 10, 3);  // starts 0 .. 9
  std::vector<double> counts(10, 0.0);
  for (std::int64_t step = 0; step < 1250; ++step) {
    for (std::int64_t row = 0; row < 8; ++row) {
      const auto start = static_cast<std::size_t>(sampler.offset(step, row));
      ASSERT_LT(start, counts.size());
      ++counts[start];
    }
  }
  double chi_squared = 0;
  for (const double count : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 28.0);  // 9 degrees of freedom: exceeded by chance once in 1000 seeds
}

TEST(Sampler, UsesAllOfTheShortestData) {
  const CountingSource source(17);
  const Batch batch = draw(Sampler(whole(*source), 2, 16, 9), 0);
  EXPECT_EQ(batch.inputs.front(), 0);
  EXPECT_EQ(batch.targets.back(), 16);
}

TEST(Sampler, NamesTheLongestSequenceThatWorks) {
  const CountingSource source(17);
  const std::string text = message_of<InputError>([&] { Sampler(whole(*source), 2, 17, 9); });
  EXPECT_TRUE(has(text, "--seq 17") && has(text, "the largest that works is --seq 16")) << text;
  EXPECT_TRUE(has(text, (*source).path())) << text;
}

/// Where the windows of an epoch begin, in the order in which they are taken.
std::vector<std::int64_t> epoch_starts(const Sampler& sampler, std::int64_t windows,
                                       std::int64_t epoch) {
  std::vector<std::int64_t> starts;
  for (std::int64_t i = epoch * windows; i < (epoch + 1) * windows; ++i) {
    starts.push_back(sampler.offset(i / sampler.rows(), i % sampler.rows()));
  }
  return starts;
}

TEST(Windows, AreTakenOnceAnEpochInAnotherOrderAndFromAnotherToken) {
  const CountingSource source(1000);
  const TokenRange range{&*source, 100, 963};
  const std::int64_t windows = (863 - 1) / 16 - 1;
  EXPECT_EQ(epoch_tokens(863, 16, Shuffle::kWindows), 16 * windows);
  const Sampler sampler(range, 7, 16, 42, Shuffle::kWindows);
  std::set<std::int64_t> phases;
  std::vector<std::int64_t> before;
  for (std::int64_t epoch = 0; epoch < 40; ++epoch) {
    const std::vector<std::int64_t> starts = epoch_starts(sampler, windows, epoch);
    std::vector<std::int64_t> sorted = starts;
    std::sort(sorted.begin(), sorted.end());
    phases.insert(sorted.front());
    ASSERT_LT(sorted.front(), 32);
    ASSERT_LT(sorted.back() + 16, 863) << "its last target is in the range";
    for (std::size_t i = 1; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], sorted[i - 1] + 16);
    ASSERT_NE(starts, sorted);
    ASSERT_NE(starts, before);
    before = starts;
  }
  EXPECT_GT(phases.size(), 12u);
}

TEST(Windows, DoNotDependOnTheBatch) {
  const CountingSource source(1000);
  const Sampler narrow(whole(*source), 1, 16, 42, Shuffle::kWindows);
  const Sampler wide(whole(*source), 100, 16, 42, Shuffle::kWindows);
  for (std::int64_t i = 0; i < 500; ++i) {
    ASSERT_EQ(narrow.offset(i, 0), wide.offset(i / 100, i % 100));
  }
  const Sampler other(whole(*source), 1, 16, 43, Shuffle::kWindows);
  EXPECT_NE(epoch_starts(narrow, 50, 0), epoch_starts(other, 50, 0));
}

/// In data that hold one window, two, or hardly more, every token is reached.
TEST(Windows, OfTheShortestDataReachEveryToken) {
  for (std::int32_t tokens = 11; tokens < 60; ++tokens) {
    const CountingSource source(tokens);
    const Sampler sampler(whole(*source), 3, 10, 9, Shuffle::kWindows);
    std::set<std::int32_t> targets;
    for (std::int64_t step = 0; step < 100; ++step) {
      const Batch batch = draw(sampler, step);
      targets.insert(batch.targets.begin(), batch.targets.end());
    }
    EXPECT_EQ(targets.size(), static_cast<std::size_t>(tokens - 1)) << tokens;
  }
}

TEST(FitSequence, IsCutToShortDataOnlyWhenNobodyAsked) {
  EXPECT_EQ(fit_sequence(0, 1'000'000, "f"), 64);
  EXPECT_EQ(fit_sequence(0, 65, "f"), 64);
  EXPECT_EQ(fit_sequence(0, 64, "f"), 63);
  EXPECT_EQ(fit_sequence(0, 2, "f"), 1);
  EXPECT_EQ(fit_sequence(63, 64, "f"), 63);
  EXPECT_EQ(fit_sequence(1000, 1001, "f"), 1000);
  const auto says = [](std::int64_t requested, std::int64_t tokens) {
    return message_of<InputError>([&] { fit_sequence(requested, tokens, "f.txt"); });
  };
  EXPECT_TRUE(has(says(64, 64), "f.txt") && has(says(64, 64), "--seq 63"));
  EXPECT_TRUE(has(says(0, 1), "f.txt") && has(says(0, 1), "1 token,"));
  EXPECT_TRUE(has(says(5, 0), "0 tokens"));
  EXPECT_TRUE(has(says(-3, 100), "--seq") && has(says(-3, 100), "-3"));
}

TEST(EvaluationWindows, PredictEveryTokenButTheFirstOnce) {
  const CountingSource source(60);
  for (const std::int64_t size : {2, 3, 16, 17, 18, 33, 50}) {
    const TokenRange range{&*source, 5, 5 + size};
    const EvaluationWindows windows(range, 16);
    Tokens seen;
    for (std::int64_t first = 0; first < windows.size(); first += 2) {
      Tokens inputs(32, -7), targets(32, -7);
      windows.fill(first, 2, {inputs.data(), targets.data(), nullptr});
      for (std::size_t i = 0; i < 32; ++i) {
        if (targets[i] == kNotCounted) {
          ASSERT_EQ(inputs[i], 0);
          continue;
        }
        ASSERT_EQ(targets[i], inputs[i] + 1);
        seen.push_back(targets[i]);
      }
    }
    Tokens expected;
    for (std::int32_t i = 6; i < 5 + size; ++i) expected.push_back(i);
    EXPECT_EQ(seen, expected) << size;
    EXPECT_EQ(windows.targets(), size - 1);
  }
}

TEST(EvaluationWindows, TheLastMayBeShorter) {
  const CountingSource source(36);
  const EvaluationWindows windows(whole(*source), 16);
  ASSERT_EQ(windows.size(), 3);
  EXPECT_EQ(windows[1].start, 16);
  EXPECT_EQ(windows[1].length, 16);
  EXPECT_EQ(windows[2].start, 32);
  EXPECT_EQ(windows[2].length, 3);
  EXPECT_EQ(EvaluationWindows({&*source, 0, 33}, 16).size(), 2);
}

/// The starts of all windows.
std::vector<std::int64_t> starts(const EvaluationWindows& windows) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < windows.size(); ++i) all.push_back(windows[i].start);
  return all;
}

TEST(EvaluationWindows, ASampleIsWholeWindowsSpreadEvenly) {
  const CountingSource source(1005);
  const TokenRange range{&*source, 0, 1005};  // 62 whole windows and one of 12
  for (std::int64_t tokens = 1; tokens <= 62 * 16; ++tokens) {
    const EvaluationWindows sample(range, 16, tokens);
    const std::int64_t n = sample.size();
    ASSERT_EQ(n, (tokens + 15) / 16) << "as few as hold the tokens";
    ASSERT_EQ(sample.targets(), 16 * n);
    ASSERT_EQ(sample.targets_total(), 1004);
    for (std::int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(sample[i].length, 16);
      ASSERT_EQ(sample[i].start % 16, 0);
      // Of n equal parts of the range, each has the start of one window.
      ASSERT_GE(sample[i].start + 16, 16 * 62 * i / n) << tokens;
      ASSERT_LT(sample[i].start, 16 * 62 * (i + 1) / n) << tokens;
      ASSERT_GT(sample[i].start, i > 0 ? sample[i - 1].start : -1);
    }
  }
  EXPECT_EQ(starts(EvaluationWindows(range, 16, 32)), (std::vector<std::int64_t>{15 * 16, 46 * 16}))
      << "the middles of two halves";
}

TEST(EvaluationWindows, ASampleThatIsNoSmallerIsAllOfThem) {
  const CountingSource source(1005);
  const TokenRange range{&*source, 3, 1005};  // 62 whole windows and one of 9
  const EvaluationWindows all(range, 16);
  ASSERT_EQ(all.targets(), 1001);
  for (const std::int64_t tokens : {0, 993, 1001, 1'000'000}) {
    const EvaluationWindows windows(range, 16, tokens);
    EXPECT_EQ(starts(windows), starts(all)) << tokens;
    EXPECT_EQ(windows.targets(), 1001) << tokens;
  }
  EXPECT_EQ(EvaluationWindows(range, 16, 992).targets(), 992);
  EXPECT_EQ(EvaluationWindows({&*source, 0, 5}, 16, 2).targets(), 4) << "no window is whole";
}

TEST(EvaluationWindows, ASampleIsCopiedAsItLies) {
  const CountingSource source(1005);
  const EvaluationWindows sample({&*source, 5, 1005}, 16, 100);
  ASSERT_EQ(sample.size(), 7);
  Tokens inputs(8 * 16, -7), targets(8 * 16, -7);
  sample.fill(0, 8, {inputs.data(), targets.data(), nullptr});
  for (std::size_t row = 0; row < 7; ++row) {
    const auto index = static_cast<std::int64_t>(row);
    for (std::size_t t = 0; t < 16; ++t) {
      ASSERT_EQ(inputs[row * 16 + t], 5 + sample[index].start + static_cast<std::int64_t>(t));
      ASSERT_EQ(targets[row * 16 + t], inputs[row * 16 + t] + 1);
    }
  }
  EXPECT_EQ(targets[7 * 16], kNotCounted) << "past the last window";
}

TEST(Documents, BeginWithTheEndOfTheOneBefore) {
  const Tokens tokens{3, 9, 4, 4, 9, 9, 5};
  Tokens first_keys(7, -7);
  find_documents(tokens.data(), 7, 9, first_keys.data());
  EXPECT_EQ(first_keys, (Tokens{0, 1, 1, 1, 4, 5, 5}));
  find_documents(tokens.data(), 7, kNoBorder, first_keys.data());
  EXPECT_EQ(first_keys, Tokens(7, 0));
}

TEST(EvaluationWindows, TellDocumentsApartWithABorder) {
  const CountingSource source(100);
  const EvaluationWindows windows(whole(*source), 16, 0, 20);
  EXPECT_TRUE(windows.has_documents());
  EXPECT_FALSE(EvaluationWindows(whole(*source), 16).has_documents());
  Tokens inputs(32), targets(32), first_keys(32, -7);
  windows.fill(0, 2, {inputs.data(), targets.data(), first_keys.data()});
  for (std::size_t i = 0; i < 32; ++i) ASSERT_EQ(first_keys[i], i < 20 ? 0 : 4) << i;
  windows.fill(windows.size(), 1, {inputs.data(), targets.data(), first_keys.data()});
  EXPECT_EQ(first_keys[15], 0) << "past the last window";
}

TEST(TinyShakespeare, SplitsAndSamplesAsNanoGptDoes) {
  const std::string path = CLLM_SOURCE_DIR "/../shared/data/tinyshakespeare.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "without " << path;
  const TokenSource source(path);
  ASSERT_EQ(source.size(), 1'115'394);
  const Split split = split_train_validation(whole(source));
  EXPECT_EQ(split.train.size(), 1'003'854);
  EXPECT_EQ(split.validation.size(), 111'540);
  EXPECT_EQ(EvaluationWindows(split.validation, 64).size(), 1743);
  const Sampler sampler(split.train, 12, 64, 1337);
  std::set<std::int64_t> tenths;
  for (std::int64_t step = 0; step < 20; ++step) {
    const Batch batch = draw(sampler, step);
    for (std::size_t row = 0; row < 12; ++row) {
      for (std::size_t t = 0; t + 1 < 64; ++t) {
        ASSERT_EQ(batch.targets[row * 64 + t], batch.inputs[row * 64 + t + 1]);
      }
      tenths.insert(sampler.offset(step, static_cast<std::int64_t>(row)) * 10 / split.train.size());
    }
    for (const std::int32_t token : batch.inputs) ASSERT_TRUE(token == '\n' || token >= ' ');
  }
  EXPECT_EQ(tenths.size(), 10u);
}

}  // namespace
}  // namespace cllm
