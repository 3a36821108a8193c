#include "text/bpe.h"

#include <queue>
#include <unordered_set>

#include "base/refuse.h"
#include "text/utf8.h"

namespace cllm {
namespace {

constexpr std::int32_t kNone = -1;

std::uint64_t pair_key(std::int32_t left, std::int32_t right) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

}  // namespace

/// Is a token of the word, in a list that shrinks.
struct Bpe::Symbol {
  std::int32_t token;  // kNone: it was merged into the one before
  std::int32_t before, after;
};

/// Is a pair that was there when it was queued.
struct Bpe::Candidate {
  Merge merge;
  std::int32_t at;  // of the left symbol
  /// Puts the earlier merge first, and of equals the one further left.
  bool operator<(const Candidate& other) const noexcept {
    return merge.rank != other.merge.rank ? merge.rank > other.merge.rank : at > other.at;
  }
};

/// Merges the symbols of one word.
class Bpe::Merging {
 public:
  Merging(const Bpe& bpe, std::vector<Symbol>& symbols) : bpe_(bpe), symbols_(symbols) {
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) queue(static_cast<std::int32_t>(i));
  }

  void run() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      Symbol& left = symbol(best.at);
      if (left.token == kNone || left.after == kNone) continue;
      Symbol& right = symbol(left.after);
      // What was queued may have changed since; another pair with the same result will do.
      const Merge* const merge = bpe_.merge_of(left.token, right.token);
      if (merge == nullptr || merge->token != best.merge.token) continue;
      left.token = merge->token;
      right.token = kNone;
      left.after = right.after;
      if (left.after != kNone) symbol(left.after).before = best.at;
      if (left.before != kNone) queue(left.before);
      queue(best.at);
    }
  }

 private:
  Symbol& symbol(std::int32_t at) noexcept { return symbols_[static_cast<std::size_t>(at)]; }

  void queue(std::int32_t at) {
    const Symbol& left = symbol(at);
    if (left.after == kNone) return;
    const Merge* const merge = bpe_.merge_of(left.token, symbol(left.after).token);
    if (merge != nullptr) queue_.push({*merge, at});
  }

  const Bpe& bpe_;
  std::vector<Symbol>& symbols_;
  std::priority_queue<Candidate> queue_;
};

Bpe::Bpe(BpeParts parts, const std::string& where) : parts_(std::move(parts)) {
  ids_.reserve(parts_.vocabulary.size());
  std::unordered_set<std::int32_t> known;
  for (const auto& [name, id] : parts_.vocabulary) {
    if (ids_.emplace(name, id).second && known.insert(id).second) continue;
    refuse("a token or its id comes twice in the vocabulary", name + ", " + std::to_string(id),
           "distinct ones", where, "the file is damaged");
  }
  merges_.reserve(parts_.merges.size());
  std::int32_t rank = 0;
  for (const auto& [left, right] : parts_.merges) {
    const std::int32_t first = find(left), second = find(right), merged = find(left + right);
    if (first == kNone || second == kNone || merged == kNone) {
      refuse("a merge of tokens that are not in the vocabulary", left + " " + right,
             "both parts and the whole", where, "the file is damaged");
    }
    merges_[pair_key(first, second)] = {rank++, merged};
  }
  parts_.merges = {};
}

std::int32_t Bpe::find(std::string_view name) const noexcept {
  const auto found = ids_.find(name);
  return found == ids_.end() ? kNone : found->second;
}

const Bpe::Merge* Bpe::merge_of(std::int32_t left, std::int32_t right) const noexcept {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<Bpe::Symbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  bool after_unknown = false;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t bytes = utf8_step(word, at).bytes;
    const std::int32_t known = find(word.substr(at, bytes));
    const std::int32_t token = known == kNone ? parts_.unknown : known;
    const bool is_fused = known == kNone && after_unknown && parts_.fuse_unknown;
    if (token != kNone && !is_fused) {
      const std::int32_t here = static_cast<std::int32_t>(symbols.size());
      symbols.push_back({token, here - 1, here + 1});
    }
    after_unknown = known == kNone && token != kNone;
    at += bytes;
  }
  if (!symbols.empty()) symbols.back().after = kNone;
  return symbols;
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (parts_.ignore_merges) {
    const std::int32_t whole = find(word);
    if (whole != kNone) {
      ids.push_back(whole);
      return;
    }
  }
  std::vector<Symbol> symbols = symbols_of(word);
  Merging(*this, symbols).run();
  for (const Symbol& symbol : symbols) {
    if (symbol.token != kNone) ids.push_back(symbol.token);
  }
}

}  // namespace cllm
