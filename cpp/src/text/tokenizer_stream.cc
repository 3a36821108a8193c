#include "text/tokenizer_stream.h"

#include <utility>

#include "base/refuse.h"
#include "text/refuse_tokenizer.h"
#include "text/tokenizer_file.h"

namespace cllm {
namespace {

// Depths at which the parser tells of keys: {"model": {"vocab": {"a": 0}, "merges": [["a", "b"]]}}
constexpr int kTop = 1, kInModel = 2;

}  // namespace

std::int32_t checked_token_id(std::uint64_t id, const std::string& where) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 24;
  if (id >= kMost) {
    refuse("a token's id is too large", std::to_string(id), "below " + std::to_string(kMost), where,
           "the file is damaged");
  }
  return static_cast<std::int32_t>(id);
}

void TokenizerStream::refuse_value(const std::string& seen) const {
  const bool is_vocabulary = place_ == Place::kVocabulary;
  refuse(is_vocabulary ? "a vocabulary of another form" : "merges of another form", seen,
         is_vocabulary ? "distinct names with distinct ids" : R"("a b" or ["a", "b"])", where_,
         "the file is damaged");
}

bool TokenizerStream::keep() {
  if (++kept_ <= kMostTokenizerValues) return true;
  refuse("too much for a tokenizer beside its vocabulary", "more values",
         "at most " + std::to_string(kMostTokenizerValues), where_, "the file is damaged");
}

bool TokenizerStream::key(int depth, const std::string& name) {
  if (place_ == Place::kRest && depth == kTop) in_model_ = name == "model";
  name_ = name;
  return place_ == Place::kRest && keep();  // false: no tree gets it
}

bool TokenizerStream::open(int depth, bool is_object) {
  if (place_ == Place::kMerges && !is_object) {
    place_ = Place::kPair;
    pair_.clear();
    return true;
  }
  if (place_ != Place::kRest) refuse_value("a nested value");
  if (in_model_ && depth == kInModel && (name_ == "vocab" || name_ == "merges")) {
    const bool is_vocabulary = name_ == "vocab";
    place_ = is_vocabulary ? Place::kVocabulary : Place::kMerges;
    if (is_object != is_vocabulary) {
      refuse_tokenizer("model " + (type_.empty() ? "of another form" : type_), "BPE", where_);
    }
    if (std::exchange(is_vocabulary ? has_vocabulary_ : has_merges_, true)) refuse_value("two");
    return true;
  }
  return keep();
}

bool TokenizerStream::close(int) {
  if (place_ == Place::kPair) {
    if (pair_.size() != 2) refuse_value("a list of " + std::to_string(pair_.size()));
    parts_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
    place_ = Place::kMerges;
    return false;
  }
  place_ = Place::kRest;
  return true;
}

bool TokenizerStream::text(const std::string& value) {
  if (place_ == Place::kPair) {
    if (pair_.size() == 2) refuse_value("a list of more");
    pair_.push_back(value);
    return false;
  }
  if (place_ == Place::kVocabulary) refuse_value("a text");
  if (place_ == Place::kRest) {
    if (in_model_ && name_ == "type") type_ = value;
    return keep();
  }
  if (value.rfind("#version", 0) == 0) return false;
  const std::size_t space = value.find(' ');
  if (space == std::string::npos || value.find(' ', space + 1) != std::string::npos) {
    refuse_value(value);
  }
  parts_.merges.emplace_back(value.substr(0, space), value.substr(space + 1));
  return false;
}

bool TokenizerStream::number(std::uint64_t value) {
  if (place_ == Place::kRest) return keep();
  if (place_ != Place::kVocabulary) refuse_value("a number");
  parts_.vocabulary.emplace_back(name_, checked_token_id(value, where_));
  return true;  // its key was not kept, and so it is not
}

bool TokenizerStream::other() {
  if (place_ != Place::kRest) refuse_value("something else");
  return keep();
}

}  // namespace cllm
