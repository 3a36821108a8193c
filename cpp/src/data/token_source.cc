#include "data/token_source.h"

#include <algorithm>
#include <utility>

#include "base/refuse.h"
#include "base/sha256.h"
#include "data/mark.h"

namespace cllm {
namespace {

/// Makes one fingerprint of several, in their order.
DataFingerprint combined(const std::vector<DataFingerprint>& all) {
  const auto digest = [&all](std::string DataFingerprint::* field) {
    std::string text;
    for (const DataFingerprint& each : all) {
      text += std::to_string(each.size) + " " + each.*field + "\n";
    }
    return hex(sha256(text));
  };
  DataFingerprint one;
  for (const DataFingerprint& each : all) one.size += each.size;
  const bool whole = std::none_of(all.begin(), all.end(),
                                  [](const DataFingerprint& each) { return each.sha256.empty(); });
  if (whole) {
    one.sha256 = digest(&DataFingerprint::sha256);
  } else {
    one.first_sha256 = digest(&DataFingerprint::first_sha256);
    one.last_sha256 = digest(&DataFingerprint::last_sha256);
  }
  return one;
}

DataFingerprint combined_ends(const std::vector<const TokenPart*>& files) {
  std::vector<DataFingerprint> ends;
  for (const TokenPart* file : files) ends.push_back(file->watched()->ends());
  return combined(ends);
}

/// Hashes of files up to this size together are waited for; it takes a fraction of a second.
constexpr std::uint64_t kHashedAtOnce = FileHash::kAtOnce;

}  // namespace

TokenSource::TokenSource(const std::string& path, std::int64_t vocabulary)
    : TokenSource(path, {path}, vocabulary, false) {}

TokenSource::TokenSource(const MemoryData::Pointer& data, std::int64_t vocabulary)
    : name_(data->name) {
  parts_.push_back(std::make_unique<TokenPart>(data, vocabulary));
  begins_ = {0, parts_.front()->size()};
  vocabulary_ = parts_.front()->vocabulary();
}

TokenSource::TokenSource(std::string name, const std::vector<std::string>& paths,
                         std::int64_t vocabulary, bool byte_tokens)
    : name_(std::move(name)), begins_{0} {
  bool known = true;
  for (const std::string& path : paths) {
    parts_.push_back(std::make_unique<TokenPart>(path, vocabulary, byte_tokens));
    const TokenPart& part = *parts_.back();
    begins_.push_back(begins_.back() + part.size());
    known = known && part.vocabulary() != 0;
    vocabulary_ = std::max(vocabulary_, part.vocabulary());
  }
  if (!known) vocabulary_ = 0;
  check_parts();
}

TokenSource::TokenSource(std::string name, const std::vector<std::string>& paths,
                         const std::vector<std::string>& marks, std::int64_t vocabulary,
                         bool byte_tokens)
    : TokenSource(std::move(name), paths, vocabulary, byte_tokens) {
  for (const std::string& path : marks) marks_.push_back(std::make_unique<TokenPart>(path));
  check_marks();
}

void TokenSource::check_marks() const {
  for (std::size_t i = 0; i < marks_.size(); ++i) {
    const TokenPart& marks = *marks_[i];
    const TokenPart& tokens = *parts_[i];
    const auto wrong = [&](const char* what, const std::string& seen, const std::string& wanted) {
      refuse(what, seen, wanted, marks.path(), "prepare the data set again");
    };
    if (marks.vocabulary() != Mark::kVocabulary) {
      wrong("these are no marks of examples",
            std::string(marks.kind()) + " of " + std::to_string(marks.vocabulary()) + " kinds",
            "a token file of " + std::to_string(Mark::kVocabulary));
    }
    if (marks.size() != tokens.size()) {
      wrong("the marks are not of these tokens", std::to_string(marks.size()) + " marks",
            std::to_string(tokens.size()) + ", as " + tokens.path());
    }
    if (marks.tokenizer() != tokens.tokenizer()) {
      wrong("the marks are of another tokenizer than the tokens", "SHA-256 " + marks.tokenizer(),
            tokens.tokenizer() + ", as " + tokens.path());
    }
  }
}

std::vector<const TokenPart*> TokenSource::all() const {
  std::vector<const TokenPart*> files;
  for (const Parts* parts : {&parts_, &marks_}) {
    for (const auto& part : *parts) files.push_back(part.get());
  }
  return files;
}

void TokenSource::check_parts() const {
  const TokenPart& first = *parts_.front();
  for (const auto& part : parts_) {
    if (std::string(part->kind()) != first.kind() || part->is_bytes() != first.is_bytes()) {
      refuse("the files are of different kinds", part->kind(),
             std::string(first.kind()) + ", as " + first.path(), part->path(),
             "name only those that belong together");
    }
    if (part->tokenizer() != first.tokenizer()) {
      refuse("the files are of different tokenizers", "SHA-256 " + part->tokenizer(),
             first.tokenizer() + ", as " + first.path(), part->path(),
             "prepare them again with one tokenizer");
    }
  }
}

std::int64_t TokenSource::largest_token() const noexcept {
  std::int64_t largest = -1;
  for (const auto& part : parts_) largest = std::max(largest, part->largest_token());
  return largest;
}

std::int64_t TokenSource::bytes() const noexcept {
  std::int64_t sum = 0;
  for (const auto& part : parts_) {
    if (part->bytes() == 0) return 0;
    sum += part->bytes();
  }
  return sum;
}

void TokenSource::copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const {
  copy_of(parts_, offset, count, out);
}

void TokenSource::copy_marks(std::int64_t offset, std::int64_t count, std::int32_t* out) const {
  copy_of(marks_, offset, count, out);
}

void TokenSource::copy_of(const Parts& parts, std::int64_t offset, std::int64_t count,
                          std::int32_t* out) const {
  const auto after = std::upper_bound(begins_.begin(), begins_.end() - 1, offset);
  for (auto i = static_cast<std::size_t>(after - begins_.begin()) - 1; count > 0; ++i) {
    const std::int64_t here = std::min(count, begins_[i + 1] - offset);
    parts[i]->copy(offset - begins_[i], here, out);
    offset += here;
    count -= here;
    out += here;
  }
}

void TokenSource::verify() const {
  for (const TokenPart* part : all()) part->verify();
}

std::vector<std::string> TokenSource::notes() const {
  std::vector<std::string> found;
  for (const auto& part : parts_) {
    for (std::string& note : part->notes()) {
      if (std::find(found.begin(), found.end(), note) == found.end()) {
        found.push_back(std::move(note));
      }
    }
  }
  return found;
}

void TokenSource::watch() {
  std::uint64_t left = kHashedAtOnce;
  for (Parts* parts : {&parts_, &marks_}) {
    for (const auto& part : *parts) {
      const bool now = part->file_bytes() <= left;
      part->watch(now ? left : 0);
      left -= now ? part->file_bytes() : 0;
    }
  }
}

void TokenSource::check_unchanged() const {
  for (const Parts* parts : {&parts_, &marks_}) {
    for (const auto& part : *parts) {
      if (part->watched() != nullptr) part->watched()->check();
    }
  }
}

DataFingerprint TokenSource::fingerprint() const {
  const std::vector<const TokenPart*> files = all();
  if (files.size() == 1) return files.front()->watched()->fingerprint();
  std::vector<DataFingerprint> each;
  for (const TokenPart* file : files) each.push_back(file->watched()->fingerprint());
  const bool whole = combined(each).first_sha256.empty();
  return whole ? combined(each) : combined_ends(files);
}

DataFingerprint TokenSource::fingerprint_now() const {
  if (is_hashed()) return fingerprint();
  const std::vector<const TokenPart*> files = all();
  return files.size() == 1 ? files.front()->watched()->ends() : combined_ends(files);
}

bool TokenSource::matches(const DataFingerprint& saved) const {
  const std::vector<const TokenPart*> files = all();
  if (files.size() == 1) return files.front()->watched()->matches(saved);
  const DataFingerprint ends = combined_ends(files);
  if (saved.size != ends.size) return false;
  if (saved.sha256.empty()) return saved == ends;
  const DataFingerprint now = fingerprint();
  check_unchanged();
  return now == saved;
}

bool TokenSource::is_hashed() const {
  const std::vector<const TokenPart*> files = all();
  return std::all_of(files.begin(), files.end(),
                     [](const TokenPart* file) { return file->watched()->is_hashed(); });
}

bool TokenSource::shares_file(const TokenSource& other) const noexcept {
  return std::any_of(parts_.begin(), parts_.end(), [&other](const auto& part) {
    return std::any_of(other.parts_.begin(), other.parts_.end(),
                       [&part](const auto& its) { return part->same_file(*its); });
  });
}

TokenSource open_files(const DataFiles& data, const std::vector<std::string>& paths,
                       std::int64_t vocabulary) {
  const std::vector<std::string> marks = data.marks_of(paths);
  TokenSource source = marks.empty()
                           ? TokenSource(data.name, paths, vocabulary, data.byte_tokens())
                           : TokenSource(data.name, paths, marks, vocabulary, data.byte_tokens());
  if (data.set && source.tokenizer() != data.set->tokenizer_sha256) {
    refuse("the token files are not those of the data set's tokenizer",
           "SHA-256 " + source.tokenizer(), data.set->tokenizer_sha256, data.name,
           "prepare the data set again");
  }
  return source;
}

}  // namespace cllm
