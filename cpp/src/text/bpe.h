// Byte pair encoding: a word's characters become tokens, which are merged pair by pair in the order
// in which training found the pairs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cllm {

/// Holds what a BPE is made of.
struct BpeParts {
  std::vector<std::pair<std::string, std::int32_t>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  ///< the first come first
  std::int32_t unknown = -1;   ///< stands for a character without a token; -1: it is left out
  bool fuse_unknown = false;   ///< one token stands for neighbours of these
  bool ignore_merges = false;  ///< a word that is a token is that token
};

/// Thread safety: const calls from any number of threads.
class Bpe {
 public:
  /// Throws InputError naming `where` for a token that comes twice, or a merge whose parts or
  /// result are no tokens.
  Bpe(BpeParts parts, const std::string& where);
  Bpe(const Bpe&) = delete;
  Bpe& operator=(const Bpe&) = delete;

  /// Appends the tokens of a word. Its cost is O(n log n), so a word may be as long as a text.
  /// REQUIRES: UTF-8 of less than 2^31 bytes.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

  /// Returns the id of a token; -1 when there is none of this name.
  std::int32_t find(std::string_view name) const noexcept;

  const std::vector<std::pair<std::string, std::int32_t>>& vocabulary() const noexcept {
    return parts_.vocabulary;
  }

 private:
  struct Merge {
    std::int32_t rank, token;
  };
  struct Symbol;
  struct Candidate;
  class Merging;

  const Merge* merge_of(std::int32_t left, std::int32_t right) const noexcept;
  std::vector<Symbol> symbols_of(std::string_view word) const;

  BpeParts parts_;  // without the merges, which are in merges_
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::unordered_map<std::uint64_t, Merge> merges_;  // by both tokens
};

}  // namespace cllm
