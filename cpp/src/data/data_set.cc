#include "data/data_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/refuse.h"
#include "data/token_layout.h"

namespace cllm {
namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "cllm data set";
constexpr int kVersion = 1;            // of texts
constexpr int kVersionOfExamples = 2;  // whose token files have marks
constexpr const char* kHint = "prepare the data set again";

constexpr std::size_t kMostBytes = std::size_t{256} << 20;
constexpr int kMostDepth = 8;

/// Keeps what is read below and nothing that is nested deeper, so that a million sources cost no
/// memory.
bool is_kept(int depth, Json::parse_event_t event, const Json& parsed) {
  if (event != Json::parse_event_t::key || depth != 1) return depth <= kMostDepth;
  for (const char* name : {"format", "version", "tokenizer", "train", "val", "examples"}) {
    if (parsed == name) return true;
  }
  return false;
}

/// Reads values of one dataset.json and refuses what they must not be.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {
    std::size_t size = 0;
    open_for_reading(path, &size);
    if (size > kMostBytes) {
      refuse("too large for what it should be", std::to_string(size) + " bytes",
             "at most " + std::to_string(kMostBytes), path, kHint);
    }
    const std::string text = read_text_file(path);
    try {
      json_ = Json::parse(text, is_kept);
    } catch (const Json::exception& error) {
      refuse("not JSON", error.what(), "what `cllm prepare` writes", path, kHint);
    }
  }

  const Json& top() const { return json_; }

  const Json& value(const Json& object, const char* key) const {
    if (object.is_object()) {
      const auto found = object.find(key);
      if (found != object.end()) return *found;
    }
    wrong(key, "nothing", "a value");
  }

  std::int64_t count(const Json& object, const char* key, std::int64_t least,
                     std::int64_t most) const {
    const Json& number = value(object, key);
    const std::string wanted = std::to_string(least) + " to " + std::to_string(most);
    if (!number.is_number_integer()) wrong(key, number.dump(), wanted);
    if (number.is_number_unsigned() && number.get<std::uint64_t>() > INT64_MAX) {
      wrong(key, number.dump(), wanted);
    }
    const auto n = number.get<std::int64_t>();
    if (n < least || n > most) wrong(key, number.dump(), wanted);
    return n;
  }

  std::string text(const Json& object, const char* key) const {
    const Json& text = value(object, key);
    if (!text.is_string()) wrong(key, text.dump(), "a text");
    return text.get<std::string>();
  }

  /// Returns a name without a folder, so that nothing outside of the data set is read.
  std::string name(const std::string& text, const char* key) const {
    const bool plain = !text.empty() && text[0] != '.' && text.find('/') == text.npos &&
                       text.find('\0') == text.npos;
    if (!plain) wrong(key, "\"" + text + "\"", "the name of a file in this folder");
    return text;
  }

  std::string sha256(const std::string& text, const char* key) const {
    const bool is_hash =
        text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
    if (!is_hash) wrong(key, "\"" + text + "\"", "64 hexadecimal digits");
    return text;
  }

  [[noreturn]] void wrong(const char* key, const std::string& seen,
                          const std::string& wanted) const {
    refuse("this data set cannot be read", std::string(key) + ": " + seen.substr(0, 200), wanted,
           path_, kHint);
  }

 private:
  std::string path_;
  Json json_;
};

std::vector<std::string> token_files(const Reader& reader, DataSet& set, const char* part,
                                     bool have_marks) {
  const Json& files = reader.value(reader.value(reader.top(), part), "files");
  if (!files.is_array()) reader.wrong("files", files.type_name(), "a list");
  std::vector<std::string> paths;
  for (const Json& file : files) {
    paths.push_back(set.path(reader.name(reader.text(file, "file"), "file")));
    if (!have_marks) continue;
    const std::string marks = set.path(reader.name(reader.text(file, "marks"), "marks"));
    if (!set.marks.emplace(paths.back(), marks).second) {
      reader.wrong("file", paths.back(), "each file once");
    }
  }
  return paths;
}

/// Returns the tokens that end at least a tenth of the answers; older data sets name none.
std::vector<std::int32_t> answer_ends(const Reader& reader, std::int64_t vocabulary) {
  constexpr const char* kEnds = "answers_end_with";
  const auto examples = reader.top().find("examples");
  if (examples == reader.top().end() || !examples->contains(kEnds)) return {};
  const Json& counts = reader.value(*examples, kEnds);
  if (!counts.is_object()) reader.wrong(kEnds, counts.type_name(), "counts by token");
  std::vector<std::pair<std::int64_t, std::int32_t>> found;
  std::int64_t all = 0;
  for (const auto& item : counts.items()) {
    const std::string& token = item.key();
    const bool digits =
        !token.empty() && token.size() < 10 && token.find_first_not_of("0123456789") == token.npos;
    if (!digits || std::stoll(token) >= vocabulary) {
      reader.wrong(kEnds, token, "tokens below " + std::to_string(vocabulary));
    }
    constexpr std::int64_t kMost = std::int64_t{1} << 50;
    found.emplace_back(reader.count(counts, token.c_str(), 1, kMost),
                       static_cast<std::int32_t>(std::stoll(token)));
    all = std::min(all + found.back().first, kMost);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::int32_t> ends;
  for (const auto& [count, token] : found) {
    if (count >= all / 10) ends.push_back(token);
  }
  return ends;
}

}  // namespace

bool is_data_set(const std::string& folder) { return is_there(folder + "/" + DataSet::kName); }

DataSet read_data_set(const std::string& folder) {
  DataSet set;
  set.folder = folder;
  const Reader reader(set.path(DataSet::kName));
  const Json& top = reader.top();
  const std::string format = reader.text(top, "format");
  if (format != kFormat) reader.wrong("format", "\"" + format + "\"", kFormat);
  const bool examples =
      reader.count(top, "version", kVersion, kVersionOfExamples) == kVersionOfExamples;

  const Json& tokenizer = reader.value(top, "tokenizer");
  set.byte_tokens = reader.text(tokenizer, "kind") == "bytes";
  set.vocabulary = reader.count(tokenizer, "vocabulary", 1, INT32_MAX);
  set.end_of_text =
      static_cast<std::int32_t>(reader.count(tokenizer, "end_of_text", 0, set.vocabulary - 1));
  if (set.byte_tokens && set.vocabulary != TokenLayout::kByteVocabulary) {
    reader.wrong("vocabulary", std::to_string(set.vocabulary), "257 where tokens are bytes");
  }
  set.tokenizer_sha256 = reader.sha256(reader.text(tokenizer, "sha256"), "sha256");
  const Json& files = reader.value(tokenizer, "files");
  if (!files.is_object()) reader.wrong("files", files.type_name(), "hashes by file name");
  for (const auto& [name, hash] : files.items()) {
    if (!hash.is_string()) reader.wrong("files", hash.type_name(), "64 hexadecimal digits");
    set.tokenizer_files.push_back(
        {reader.name(name, "files"), reader.sha256(hash.get<std::string>(), "files")});
  }
  set.train = token_files(reader, set, "train", examples);
  set.validation = token_files(reader, set, "val", examples);
  if (set.train.empty()) reader.wrong("train", "no files", "at least one");
  if (examples) set.answer_ends = answer_ends(reader, set.vocabulary);
  return set;
}

}  // namespace cllm
