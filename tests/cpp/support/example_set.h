// A data set of examples is written as `cllm prepare --chat` writes it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/mark.h"
#include "data_set_folder.h"

namespace cllm {

/// Holds an example: its tokens, and how many at its end are trained.
struct ExampleText {
  std::vector<std::int32_t> tokens;
  std::size_t trained = 0;
};

struct ExampleSet {
  DataSetText like{};  ///< tokenizer and vocabulary
  std::vector<ExampleText> train, validation;
  std::size_t shard = 1000;  ///< tokens of a file; an example may go on in the next

  /// Returns `count` examples of 2 to `longest` tokens, no two alike, of which the last half is
  /// trained.
  static std::vector<ExampleText> some(std::size_t count, std::size_t longest, std::int32_t seed) {
    std::vector<ExampleText> all(count);
    auto state = static_cast<std::uint32_t>(seed);
    for (std::size_t i = 0; i < count; ++i) {
      state = state * 1664525 + 1013904223;
      const std::size_t length = 2 + (state >> 8) % (longest - 1);
      for (std::size_t t = 0; t < length; ++t) {
        all[i].tokens.push_back(
            static_cast<std::int32_t>((i * 7 + t * t + static_cast<std::size_t>(seed)) % 299));
      }
      all[i].trained = length / 2;
    }
    return all;
  }

  /// Returns what dataset.json says, and writes all other files.
  nlohmann::json write_files(const std::string& folder) const {
    DataSetText texts = like;
    texts.bytes_per_token = 0;
    std::vector<std::vector<std::int32_t>> marks[2];
    const auto cut = [this](const std::vector<std::int32_t>& all) {
      std::vector<std::vector<std::int32_t>> files;
      for (std::size_t at = 0; at < all.size(); at += shard) {
        files.emplace_back(
            all.begin() + static_cast<std::ptrdiff_t>(at),
            all.begin() + static_cast<std::ptrdiff_t>(std::min(at + shard, all.size())));
      }
      return files;
    };
    const auto part = [&](const std::vector<ExampleText>& examples, int number) {
      std::vector<std::int32_t> tokens, marked;
      for (const ExampleText& example : examples) {
        const std::size_t length = example.tokens.size();
        for (std::size_t t = 0; t < length; ++t) {
          const bool trained = t > 0 && t + example.trained >= length;
          tokens.push_back(example.tokens[t]);
          marked.push_back((t == 0 ? Mark::kBegins : 0) + (trained ? Mark::kTrained : 0));
        }
      }
      marks[number] = cut(marked);
      return cut(tokens);
    };
    texts.train = part(train, 0);
    texts.validation = part(validation, 1);
    nlohmann::json json = texts.write_files(folder);
    json["version"] = 2;
    for (int number : {0, 1}) {
      const std::string name = number == 0 ? "train" : "val";
      for (std::size_t i = 0; i < marks[number].size(); ++i) {
        const std::string file = name + "-0000" + std::to_string(i) + ".marks";
        write_marks(folder + "/" + file, marks[number][i], texts.tokenizer);
        json[name]["files"][i]["marks"] = file;
      }
    }
    return json;
  }

  void write(const std::string& folder) const {
    DataSetText::file(folder, "dataset.json", write_files(folder).dump(2));
  }

  static void write_marks(const std::string& path, const std::vector<std::int32_t>& marks,
                          const std::string& tokenizer, std::int64_t kinds = Mark::kVocabulary) {
    TokenFileWriter writer(path, kinds, 2, sha256(tokenizer));
    writer.append({marks.data(), marks.size()});
    writer.finish();
  }
};

}  // namespace cllm
