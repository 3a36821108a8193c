// Vocabulary and merges are most of a tokenizer.json, so they are taken one by one while it is
// parsed, and no tree of them is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "text/bpe.h"

namespace cllm {

/// Returns a token's id. Throws InputError, naming `where`, for one past 2^24, which no vocabulary
/// has.
std::int32_t checked_token_id(std::uint64_t id, const std::string& where);

/// Gets the events of a parser. Each call returns whether the parser shall keep what it told of.
/// Throws InputError for a vocabulary or merges of another form.
class TokenizerStream {
 public:
  TokenizerStream(const std::string& where, BpeParts& parts) : where_(where), parts_(parts) {}

  bool key(int depth, const std::string& name);
  bool open(int depth, bool is_object);
  bool close(int depth);
  bool text(const std::string& value);
  bool number(std::uint64_t value);
  bool other();

  /// Says whether there were a vocabulary and merges.
  bool is_complete() const noexcept { return has_vocabulary_ && has_merges_; }

 private:
  enum class Place { kRest, kVocabulary, kMerges, kPair };

  bool keep();
  [[noreturn]] void refuse_value(const std::string& seen) const;

  const std::string& where_;
  BpeParts& parts_;
  Place place_ = Place::kRest;
  bool in_model_ = false;
  std::string name_;               // the last key
  std::vector<std::string> pair_;  // of a merge that is a list
  std::string type_;               // of the model
  std::size_t kept_ = 0;
  bool has_vocabulary_ = false, has_merges_ = false;
};

}  // namespace cllm
