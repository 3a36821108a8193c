// A data set is written as `cllm prepare` writes it, so that tests of the engine need no Python.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "data/token_file.h"
#include "temporary_folder.h"

namespace cllm {

struct DataSetText {
  using Tokens = std::vector<std::int32_t>;

  std::string kind = "bpe";
  std::int64_t vocabulary = 300;
  std::int32_t end_of_text = 299;
  std::string tokenizer = R"({"version": "1.0"})";  ///< tokenizer.json
  std::vector<Tokens> train, validation;
  std::int64_t bytes_per_token = 2;

  /// Returns ids 0, 1, 4, 9, ... modulo `vocabulary`.
  static Tokens squares(std::size_t count, std::int64_t vocabulary = 300) {
    Tokens tokens(count);
    for (std::size_t i = 0; i < count; ++i) {
      tokens[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i * i) % vocabulary);
    }
    return tokens;
  }

  /// Returns what dataset.json says, and writes all other files.
  nlohmann::json write_files(const std::string& folder) const {
    std::filesystem::create_directories(folder);
    const std::string hash = file(folder, "tokenizer.json", tokenizer);
    const auto part = [&](const char* name, const std::vector<Tokens>& shards) {
      nlohmann::json files = nlohmann::json::array();
      for (std::size_t i = 0; i < shards.size(); ++i) {
        const std::string shard = std::string(name) + "-0000" + std::to_string(i) + ".bin";
        TokenFileWriter writer(folder + "/" + shard, vocabulary, 2, sha256(tokenizer));
        writer.append({shards[i].data(), shards[i].size()});
        writer.finish(bytes_per_token * static_cast<std::int64_t>(shards[i].size()));
        files.push_back({{"file", shard}});
      }
      return nlohmann::json{{"files", files}};
    };
    return {{"format", "cllm data set"},
            {"version", 1},
            {"tokenizer",
             {{"kind", kind},
              {"vocabulary", vocabulary},
              {"end_of_text", end_of_text},
              {"sha256", hash},
              {"files", {{"tokenizer.json", hash}}}}},
            {"train", part("train", train)},
            {"val", part("val", validation)}};
  }

  void write(const std::string& folder) const {
    file(folder, "dataset.json", write_files(folder).dump(2));
  }

  /// Writes a file and returns its SHA-256.
  static std::string file(const std::string& folder, const std::string& name,
                          const std::string& text) {
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/" + name, std::ios::binary) << text;
    return hex(sha256(text));
  }
};

}  // namespace cllm
