// Rows of examples hold each example once, predict what is trained of it and nothing else, and say
// where it begins; data that are not what they should be are refused.
#include "data/examples.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "base/files.h"
#include "cllm/error.h"
#include "data/evaluation_examples.h"
#include "data/example_rows.h"
#include "example_set.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Tokens = std::vector<std::int32_t>;

/// Rows with all their columns.
struct Drawn {
  explicit Drawn(std::int64_t tokens)
      : inputs(static_cast<std::size_t>(tokens), -7), targets(inputs), first_keys(inputs) {}
  RowsToFill to() { return {inputs.data(), targets.data(), first_keys.data()}; }
  bool operator==(const Drawn& other) const {
    return inputs == other.inputs && targets == other.targets && first_keys == other.first_keys;
  }

  Tokens inputs, targets, first_keys;
};

class ExampleData : public testing::Test {
 protected:
  ExampleData() {
    set_.train = ExampleSet::some(150, 30, 1);
    set_.validation = ExampleSet::some(20, 30, 5);
    set_.shard = 333;
  }

  const TokenSource& open() {
    set_.write(folder_ / "set");
    const DataFiles files = find_data_files(folder_ / "set");
    source_ = std::make_unique<TokenSource>(open_files(files, files.train, 0));
    source_->verify();
    return *source_;
  }
  std::shared_ptr<const ExampleRows> rows(std::int64_t sequence,
                                          Packing packing = Packing::kBestFit) {
    return std::make_shared<const ExampleRows>(std::make_shared<const Examples>(open()), sequence,
                                               packing);
  }
  /// What is said of the folder after something was done to it.
  std::string complaint(const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = set_.write_files(folder_ / "set");
    change(json);
    DataSetText::file(folder_ / "set", "dataset.json", json.dump());
    return message_of<InputError>([&] {
      const DataFiles files = find_data_files(folder_ / "set");
      const TokenSource source = open_files(files, files.train, 0);
      source.verify();
      Examples all(source);
    });
  }
  /// Returns the example of the set that stands in a row from `begin` to before `end`.
  std::size_t example_at(const Drawn& row, std::size_t begin, std::size_t end) const {
    for (std::size_t i = 0; i < set_.train.size(); ++i) {
      const Tokens& tokens = set_.train[i].tokens;
      const std::size_t length = std::min(tokens.size(), row.inputs.size());
      if (length == end - begin &&
          std::equal(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length),
                     row.inputs.begin() + static_cast<std::ptrdiff_t>(begin))) {
        return i;
      }
    }
    return set_.train.size();
  }

  const TemporaryFolder folder_;
  ExampleSet set_;
  std::unique_ptr<TokenSource> source_;
};

TEST_F(ExampleData, StandWhereTheirMarksBegin) {
  const Examples examples(open());
  ASSERT_EQ(examples.size(), 150);
  std::int64_t begin = 0, longest = 0;
  for (std::int64_t i = 0; i < 150; ++i) {
    const ExampleText& text = set_.train[static_cast<std::size_t>(i)];
    const auto length = static_cast<std::int64_t>(text.tokens.size());
    ASSERT_EQ(examples.begin(i), begin);
    ASSERT_EQ(examples.length(i), length);
    ASSERT_EQ(examples.trained(i, length), static_cast<std::int64_t>(text.trained)) << i;
    for (std::int64_t cut = 1; cut < length; ++cut) {
      const std::int64_t first = length - static_cast<std::int64_t>(text.trained);
      ASSERT_EQ(examples.trained(i, cut), std::max<std::int64_t>(0, cut - first)) << i;
    }
    begin += length;
    longest = std::max(longest, length);
  }
  EXPECT_EQ(examples.longest(), longest);
  EXPECT_GT(source_->files(), 2u) << "some go on in the next file";
}

TEST_F(ExampleData, RowsHoldEachExampleOnceAndPredictItsAnswer) {
  for (const std::int64_t sequence : {31, 64, 200}) {
    for (const Packing packing : {Packing::kBestFit, Packing::kNone}) {
      const auto all = rows(sequence, packing);
      std::multiset<std::size_t> seen;
      std::int64_t targets = 0;
      for (std::int64_t r = 0; r < all->size(); ++r) {
        Drawn row(sequence);
        all->fill(r, row.to());
        std::int64_t counted = 0;
        for (std::size_t begin = 0; begin < row.inputs.size();) {
          std::size_t end = begin;
          while (end < row.inputs.size() &&
                 row.first_keys[end] == static_cast<std::int32_t>(begin)) {
            ++end;
          }
          ASSERT_GT(end, begin) << "a first key is the place of its document's first token";
          const std::size_t example = example_at(row, begin, end);
          const bool is_padding = example == set_.train.size();
          if (is_padding) {
            ASSERT_EQ(end, row.inputs.size()) << "padding is at the end";
          } else {
            seen.insert(example);
          }
          const std::size_t trained = is_padding ? 0 : set_.train[example].trained;
          for (std::size_t t = begin; t < end; ++t) {
            const bool counts = t + 1 < end && t + 1 + trained >= end;
            ASSERT_EQ(row.targets[t], counts ? row.inputs[t + 1] : kNotCounted);
            ASSERT_TRUE(!is_padding || row.inputs[t] == 0);
            counted += counts ? 1 : 0;
          }
          begin = end;
        }
        ASSERT_EQ(counted, all->targets(r));
        targets += counted;
      }
      EXPECT_EQ(targets, all->counts().targets);
      EXPECT_EQ(seen.size(), 150u);
      EXPECT_EQ(std::set<std::size_t>(seen.begin(), seen.end()).size(), 150u);
      EXPECT_EQ(all->counts().examples, 150);
      EXPECT_EQ(all->counts().cut + all->counts().left_out, 0);
      if (packing == Packing::kNone) {
        EXPECT_EQ(all->size(), 150);
      }
    }
  }
}

TEST_F(ExampleData, WhatIsTooLongIsCutAndWhatHasNoAnswerThenIsLeftOut) {
  const auto all = rows(12);
  const RowCounts& counts = all->counts();
  std::int64_t cut = 0, cut_tokens = 0, left_out = 0, tokens = 0;
  for (const ExampleText& example : set_.train) {
    const auto length = static_cast<std::int64_t>(example.tokens.size());
    if (length - static_cast<std::int64_t>(example.trained) >= std::min<std::int64_t>(length, 12)) {
      ++left_out;
      continue;
    }
    cut += length > 12 ? 1 : 0;
    cut_tokens += std::max<std::int64_t>(0, length - 12);
    tokens += std::min<std::int64_t>(length, 12);
  }
  EXPECT_GT(cut, 0);
  EXPECT_GT(left_out, 0);
  EXPECT_EQ(counts.cut, cut);
  EXPECT_EQ(counts.cut_tokens, cut_tokens);
  EXPECT_EQ(counts.left_out, left_out);
  EXPECT_EQ(counts.examples, 150 - left_out);
  EXPECT_EQ(counts.tokens, tokens);
  EXPECT_EQ(rows(1)->size(), 0) << "one token predicts nothing";
}

TEST_F(ExampleData, AnEpochTakesEveryRowOnce) {
  const auto all = rows(64);
  const ExampleSampler sampler(all, 7, 42);
  const std::int64_t size = all->size();
  ASSERT_GT(size, 20);
  std::vector<std::int64_t> drawn;
  for (std::int64_t step = 0; static_cast<std::int64_t>(drawn.size()) < 3 * size; ++step) {
    for (std::int64_t row = 0; row < 7; ++row) drawn.push_back(sampler.at(step, row));
  }
  std::vector<std::vector<std::int64_t>> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    epochs.emplace_back(drawn.begin() + epoch * size, drawn.begin() + (epoch + 1) * size);
    std::vector<std::int64_t> sorted = epochs.back();
    std::sort(sorted.begin(), sorted.end());
    for (std::int64_t i = 0; i < size; ++i) ASSERT_EQ(sorted[static_cast<std::size_t>(i)], i);
  }
  EXPECT_NE(epochs[0], epochs[1]) << "in another order";
}

TEST_F(ExampleData, AStepIsAPureFunctionOfSeedAndStep) {
  const auto all = rows(64);
  const auto draw = [&](std::int64_t batch, std::uint64_t seed, std::int64_t step) {
    Drawn rows(batch * 64);
    ExampleSampler(all, batch, seed).fill(step, rows.to());
    return rows;
  };
  const Drawn ninth = draw(5, 42, 9);
  EXPECT_TRUE(draw(5, 42, 9) == ninth);
  EXPECT_FALSE(draw(5, 42, 8) == ninth);
  EXPECT_FALSE(draw(5, 43, 9) == ninth);
  // Rows of a batch are those of the next steps of a smaller one.
  EXPECT_TRUE(
      std::equal(ninth.inputs.begin(), ninth.inputs.begin() + 64, draw(1, 42, 45).inputs.begin()));
  Drawn alone(64);
  all->fill(ExampleSampler(all, 5, 42).at(9, 0), alone.to());
  EXPECT_TRUE(std::equal(alone.targets.begin(), alone.targets.end(), ninth.targets.begin()));
}

TEST_F(ExampleData, AnEvaluationTakesAllRowsOrASampleOfThem) {
  const auto all = rows(64);
  const EvaluationExamples whole(all);
  EXPECT_EQ(whole.size(), all->size());
  EXPECT_EQ(whole.targets(), all->counts().targets);
  EXPECT_TRUE(whole.has_documents());
  const EvaluationExamples sample(all, 5 * 64 - 1);
  EXPECT_EQ(sample.size(), 5);
  EXPECT_EQ(sample.targets_total(), whole.targets());
  Drawn rows(8 * 64);
  sample.fill(0, 8, rows.to());
  std::int64_t counted = 0;
  for (const std::int32_t target : rows.targets) counted += target == kNotCounted ? 0 : 1;
  EXPECT_EQ(counted, sample.targets()) << "rows past the last are padding";
  EXPECT_EQ(rows.first_keys[5 * 64], 0);
  EXPECT_EQ(rows.inputs[5 * 64 + 63], 0);
  EXPECT_EQ(EvaluationExamples(all, 1'000'000).size(), all->size());
}

TEST_F(ExampleData, HaveTheFingerprintOfTokensAndMarks) {
  open();
  source_->watch();
  const DataFingerprint before = source_->fingerprint();
  EXPECT_TRUE(source_->matches(before));
  --set_.train[3].trained;
  open();
  source_->watch();
  EXPECT_NE(source_->fingerprint(), before) << "another answer is trained";
  EXPECT_FALSE(source_->matches(before));
}

TEST_F(ExampleData, ChangesOfTheirMarksAreNoticed) {
  const TokenSource& source = open();
  source_->watch();
  source.check_unchanged();
  fs::resize_file(folder_ / "set/train-00001.marks", 100);
  EXPECT_THROW(source.check_unchanged(), DataError);
}

TEST_F(ExampleData, AnyTextStaysAsItWas) {
  DataSetText texts;
  texts.train = {DataSetText::squares(100)};
  texts.write(folder_ / "texts");
  const DataFiles files = find_data_files(folder_ / "texts");
  EXPECT_FALSE(files.set->has_examples());
  EXPECT_FALSE(open_files(files, files.train, 0).has_marks());
}

TEST_F(ExampleData, OfMalformedFoldersAreRefused) {
  const auto says = [this](const std::function<void(nlohmann::json&)>& change) {
    return complaint(change);
  };
  const std::string marks = folder_ / "set/train-00001.marks";
  const std::string tokenizer = set_.like.tokenizer;
  EXPECT_EQ(says([](auto&) {}), "");
  const auto expect = [&](const char* wanted, const std::function<void(nlohmann::json&)>& change) {
    const std::string said = says(change);
    EXPECT_TRUE(has(said, wanted)) << said;
  };
  expect("version", [](auto& json) { json["version"] = 3; });
  expect("marks: nothing", [](auto& json) { json["train"]["files"][0].erase("marks"); });
  expect("marks: nothing", [](auto& json) { json["val"]["files"][0].erase("marks"); });
  expect("marks: 5", [](auto& json) { json["train"]["files"][0]["marks"] = 5; });
  expect("the name of a file in this folder",
         [](auto& json) { json["train"]["files"][0]["marks"] = "../train-00000.marks"; });
  expect("each file once",
         [](auto& json) { json["train"]["files"][1] = json["train"]["files"][0]; });
  expect("train-00001.marks", [&](auto&) { fs::remove(marks); });
  expect("marks are not of these tokens",
         [&](auto&) { ExampleSet::write_marks(marks, Tokens(332, 0), tokenizer); });
  expect("these are no marks",
         [&](auto&) { ExampleSet::write_marks(marks, Tokens(333, 0), tokenizer, 5); });
  expect("these are no marks",
         [](auto& json) { json["train"]["files"][1]["marks"] = "train-00001.bin"; });
  expect("another tokenizer",
         [&](auto&) { ExampleSet::write_marks(marks, Tokens(333, 0), "other"); });
  expect("do not begin with an example", [&](auto&) {
    ExampleSet::write_marks(folder_ / "set/train-00000.marks", Tokens(333, 1), tokenizer);
  });
  expect("checksum", [&](auto&) {
    std::string bytes = read_text_file(marks);
    bytes[1024 + 10] ^= 1;
    DataSetText::file(folder_ / "set", "train-00001.marks", bytes);
  });
  expect("size its header tells", [&](auto&) { fs::resize_file(marks, 1500); });
}

}  // namespace
}  // namespace cllm
