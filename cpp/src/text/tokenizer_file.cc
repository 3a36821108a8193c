#include "text/tokenizer_file.h"

#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/json_text.h"
#include "text/refuse_tokenizer.h"
#include "text/tokenizer_stream.h"

namespace cllm {
namespace {

using Json = nlohmann::json;

constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr int kMostNested = 16;

/// Reads the parts of a tokenizer.json of which vocabulary and merges were taken out.
class Reader {
 public:
  Reader(const Json& json, TokenizerFile& file, const std::string& where)
      : json_(json), file_(file), where_(where) {}

  void read() {
    if (!json_.is_object()) damaged("no object", "a JSON object");
    read_model(part(json_, "model"));
    read_normalizer(part(json_, "normalizer"), 0);
    read_added(part(json_, "added_tokens"));
    read_steps(part(json_, "pre_tokenizer"), 0);
    read_post(part(json_, "post_processor"), 0);
    const std::string decoder = type_of(part(json_, "decoder"));
    if (decoder != "ByteLevel" && decoder != "Fuse") other("decoder", decoder, "ByteLevel or Fuse");
    file_.is_byte_level = decoder == "ByteLevel";
  }

 private:
  [[noreturn]] void damaged(const std::string& seen, const std::string& wanted) const {
    refuse("this is no tokenizer of Hugging Face", seen, wanted, where_, "the file is damaged");
  }
  [[noreturn]] void other(const std::string& part, const std::string& seen,
                          const std::string& wanted) const {
    refuse_tokenizer(part + " " + (seen.empty() ? "null" : seen), wanted, where_);
  }

  /// Returns a member; null when there is none.
  static const Json& part(const Json& object, const char* key) {
    static const Json null;
    const auto found = object.find(key);
    return found == object.end() ? null : *found;
  }
  std::string text_of(const Json& object, const char* key) const {
    const Json& value = part(object, key);
    if (value.is_null()) return "";
    if (!value.is_string()) damaged(std::string("a ") + key + " that is no string", "a string");
    return value.get<std::string>();
  }
  /// Returns the "type" of a part; "" for null.
  std::string type_of(const Json& object) const {
    if (object.is_null()) return "";
    if (!object.is_object()) damaged("a part that is no object", "an object with a type");
    return text_of(object, "type");
  }
  bool flag(const Json& object, const char* key, bool otherwise) const {
    const Json& value = part(object, key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) damaged(std::string("no flag ") + key, "true or false");
    return value.get<bool>();
  }
  const Json& list(const Json& object, const char* key, int nested) const {
    const Json& value = part(object, key);
    if (!value.is_array()) damaged(std::string("no list of ") + key, "a list");
    if (nested > kMostNested) damaged("a sequence of sequences", "a shallow one");
    return value;
  }
  std::int32_t id_of(const Json& value) const {
    if (!value.is_number_unsigned()) damaged("an id that is no number", "0 or more");
    return checked_token_id(value.get<std::uint64_t>(), where_);
  }

  void read_model(const Json& model) {
    for (const char* const key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const std::string text = text_of(model, key);
      if (!text.empty()) other(key, text, "none");
    }
    if (flag(model, "byte_fallback", false)) other("byte_fallback", "true", "false");
    const Json& dropout = part(model, "dropout");
    if (!dropout.is_null() && dropout != 0) other("dropout", "of merges", "none");
    file_.bpe.ignore_merges = flag(model, "ignore_merges", false);
    file_.bpe.fuse_unknown = flag(model, "fuse_unk", false);
    const std::string unknown = text_of(model, "unk_token");
    if (unknown.empty()) return;
    for (const auto& [name, id] : file_.bpe.vocabulary) {
      if (name == unknown) file_.bpe.unknown = id;
    }
    if (file_.bpe.unknown < 0) other("unk_token", unknown, "a token of the vocabulary");
  }

  void read_normalizer(const Json& normalizer, int nested) {
    const std::string type = type_of(normalizer);
    if (type == "Sequence") {
      for (const Json& one : list(normalizer, "normalizers", nested)) {
        read_normalizer(one, nested + 1);
      }
    } else if (type == "NFC") {
      file_.composes = true;
    } else if (!type.empty()) {
      other("normalizer", type, "none or NFC");
    }
  }

  /// Hugging Face numbers an added token that is in no vocabulary behind all others, whatever the
  /// file says. Where the file says something else it was edited by hand.
  void read_added(const Json& tokens) {
    if (tokens.is_null()) return;
    if (!tokens.is_array()) damaged("added_tokens is no list", "a list");
    std::unordered_map<std::string, std::int32_t> ids;
    std::unordered_set<std::string> names;
    for (const auto& [name, id] : file_.bpe.vocabulary) ids.emplace(name, id);
    std::int32_t next = static_cast<std::int32_t>(ids.size());
    for (const Json& json : tokens) {
      if (!json.is_object()) damaged("an added token that is no object", "an object");
      AddedToken token{text_of(json, "content"), id_of(part(json, "id")),
                       flag(json, "special", false), flag(json, "normalized", false)};
      if (token.name.empty()) continue;
      if (!names.insert(token.name).second) damaged("an added token twice", "once");
      for (const char* const key : {"single_word", "lstrip", "rstrip"}) {
        if (flag(json, key, false)) other("added token " + token.name, key, "false");
      }
      const auto [known, is_new] = ids.emplace(token.name, next);
      if (known->second != token.id) {
        other("added token " + token.name, "with id " + std::to_string(token.id),
              std::to_string(known->second));
      }
      if (is_new || token.id >= next) next = token.id + 1;
      file_.added.push_back(std::move(token));
    }
  }

  void read_steps(const Json& json, int nested) {
    const std::string type = type_of(json);
    WordStep step;
    if (type == "Sequence") {
      for (const Json& one : list(json, "pretokenizers", nested)) read_steps(one, nested + 1);
    } else if (type == "ByteLevel") {
      step.is_byte_level = true;
      step.add_prefix_space = flag(json, "add_prefix_space", true);
      if (flag(json, "use_regex", true)) step.patterns.emplace_back(kGpt2Pattern, where_);
      file_.steps.push_back(std::move(step));
    } else if (type == "Digits") {
      const bool alone = flag(json, "individual_digits", false);
      step.patterns.emplace_back(alone ? "\\p{N}" : "\\p{N}+", where_);
      file_.steps.push_back(std::move(step));
    } else if (type == "Split") {
      const std::string behavior = text_of(json, "behavior");
      if (behavior != "Isolated") other("Split with behavior", behavior, "Isolated");
      const Json& pattern = part(json, "pattern");
      if (!pattern.is_object() || !pattern.contains("Regex")) other("Split", "text", "a Regex");
      step.patterns.emplace_back(text_of(pattern, "Regex"), where_);
      file_.steps.push_back(std::move(step));
    } else if (!type.empty()) {
      other("pre_tokenizer", type, "ByteLevel, Digits, Split or a Sequence of them");
    }
  }

  void read_post(const Json& json, int nested) {
    const std::string type = type_of(json);
    if (type == "Sequence") {
      for (const Json& one : list(json, "processors", nested)) read_post(one, nested + 1);
    } else if (type == "TemplateProcessing") {
      read_template(json);
    } else if (!type.empty() && type != "ByteLevel") {  // which moves offsets alone
      other("post_processor", type, "ByteLevel or TemplateProcessing");
    }
  }

  void read_template(const Json& json) {
    std::vector<std::int32_t> before, after;
    int texts = 0;
    for (const Json& piece : list(json, "single", 0)) {
      if (!piece.is_object()) damaged("a template's part that is no object", "an object");
      if (piece.contains("Sequence")) {
        ++texts;
        continue;
      }
      const std::string name = text_of(part(piece, "SpecialToken"), "id");
      const Json& ids = part(part(part(json, "special_tokens"), name.c_str()), "ids");
      if (!ids.is_array()) damaged("a template's token without ids", "ids");
      for (const Json& id : ids) (texts == 0 ? before : after).push_back(id_of(id));
    }
    if (texts != 1) other("post_processor", "with other than one text", "one");
    file_.before.insert(file_.before.begin(), before.begin(), before.end());
    file_.after.insert(file_.after.end(), after.begin(), after.end());
  }

  const Json& json_;
  TokenizerFile& file_;
  const std::string& where_;
};

/// Returns the type of the model; "" where the file does not say, as the oldest ones do.
std::string model_type(const Json& json) {
  const auto model = json.find("model");
  if (model == json.end() || !model->is_object()) return "";
  const auto type = model->find("type");
  return type != model->end() && type->is_string() ? type->get<std::string>() : "";
}

/// Returns the parsed text without vocabulary and merges, which go to `parts`.
Json parse_rest(std::string_view text, const std::string& where, BpeParts& parts) {
  check_json_text(text, where, {kMostTokenizerBytes, kMostJsonDepth, kMostTokenizerBytes});
  TokenizerStream stream(where, parts);
  const auto take = [&](int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    switch (event) {
      case Event::key:
        return stream.key(depth, value.get_ref<const std::string&>());
      case Event::object_start:
        return stream.open(depth, true);
      case Event::array_start:
        return stream.open(depth, false);
      case Event::object_end:
      case Event::array_end:
        return stream.close(depth);
      default:
        break;
    }
    if (value.is_string()) return stream.text(value.get_ref<const std::string&>());
    if (value.is_number_unsigned()) return stream.number(value.get<std::uint64_t>());
    return stream.other();
  };
  Json rest = Json::parse(text.begin(), text.end(), take, false);
  const std::string type = rest.is_object() ? model_type(rest) : "";
  if (!type.empty() && type != "BPE") refuse_tokenizer("model " + type, "BPE", where);
  if (rest.is_discarded() || !stream.is_complete()) {
    refuse("this is no tokenizer of Hugging Face",
           rest.is_discarded() ? "no JSON" : "no model with a vocabulary and merges",
           "a tokenizer.json", where, "the file is damaged");
  }
  return rest;
}

}  // namespace

TokenizerFile parse_tokenizer_json(std::string_view text, const std::string& where) {
  TokenizerFile file;
  const Json rest = parse_rest(text, where, file.bpe);
  Reader(rest, file, where).read();
  return file;
}

bool parse_split_special(std::string_view text, const std::string& where) {
  check_json_text(text, where, {kMostJsonBytes, kMostJsonDepth, kMostTokenizerValues});
  const Json config = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!config.is_object()) refuse("no JSON object", "something else", "settings", where);
  const auto found = config.find("split_special_tokens");
  return found != config.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace cllm
