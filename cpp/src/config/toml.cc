// These functions write and read config.toml: flat `key = value` lines, with help as comments,
// which are read back exactly.
//
// The reader is our own because CLI11 2.1.2 (Debian 12) ends strings at '#', keeps escapes as they
// are, takes a line without '=' for a flag and loses line numbers.
#include <algorithm>
#include <map>
#include <string_view>

#include "base/files.h"
#include "cllm/error.h"
#include "cllm/options.h"

namespace cllm {
namespace {

std::string quoted(const std::string& text) {
  static const char* const kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += std::string("\\u00") + kHex[byte / 16] + kHex[byte % 16];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string utf8(std::uint32_t code) {
  const auto low = [&](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0 | (code >> 6)), low(0)};
  if (code < 0x10000) return {static_cast<char>(0xE0 | (code >> 12)), low(6), low(0)};
  return {static_cast<char>(0xF0 | (code >> 18)), low(12), low(6), low(0)};
}

/// Reads one line of the file, from left to right.
class LineReader {
 public:
  LineReader(std::string_view line, const std::string& where) : rest_(line), where_(where) {}

  /// Returns true when only blanks and a comment are left.
  bool done() {
    const std::size_t n = std::min(rest_.find_first_not_of(" \t\r"), rest_.size());
    rest_.remove_prefix(n);
    return rest_.empty() || rest_.front() == '#';
  }
  std::string key() {
    if (rest_.front() == '[') fail("keys stand in one flat list", "key = value");
    if (rest_.front() == '"' || rest_.front() == '\'') return string();
    return take_while([](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-';
    });
  }
  void equals() {
    if (done() || rest_.front() != '=') fail("no value", "key = value");
    rest_.remove_prefix(1);
  }
  std::string value() {
    if (done()) fail("no value", "key = value");
    if (rest_.front() == '"' || rest_.front() == '\'') return string();
    if (rest_.front() == '[' || rest_.front() == '{') fail("not one value", "key = value");
    return take_while([](char c) { return c != ' ' && c != '\t' && c != '\r' && c != '#'; });
  }
  [[noreturn]] void fail(const char* what, const char* wanted) const {
    throw InputError(
        ErrorParts{what, "`" + std::string(rest_.substr(0, 80)) + "`", wanted, where_, ""});
  }

 private:
  template <class Accepts>
  std::string take_while(Accepts accepts) {
    const auto* end = std::find_if_not(rest_.begin(), rest_.end(), accepts);
    const auto n = static_cast<std::size_t>(end - rest_.begin());
    const std::string text(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return text;
  }
  std::string string() {
    const char quote = rest_.front();
    std::string text;
    std::size_t i = 1;
    for (; i < rest_.size() && rest_[i] != quote; ++i) {
      if (quote == '"' && rest_[i] == '\\') {
        text += escape(i);
      } else {
        text += rest_[i];
      }
    }
    if (i == rest_.size()) fail("a string that does not end", "a closing quote");
    rest_.remove_prefix(i + 1);
    return text;
  }
  /// Returns the text of the escape that starts at rest_[i]; leaves i at its last character.
  std::string escape(std::size_t& i) const {
    static constexpr std::string_view kLetters = "btnfr\"\\";
    static constexpr std::string_view kMeanings = "\b\t\n\f\r\"\\";
    const char letter = ++i < rest_.size() ? rest_[i] : ' ';
    const std::size_t known = kLetters.find(letter);
    if (known != std::string_view::npos) return {kMeanings[known]};
    const std::size_t digits = letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    std::uint32_t code = 0;
    bool good = digits > 0 && i + digits < rest_.size();
    for (std::size_t d = 0; good && d < digits; ++d) {
      const char c = rest_[++i];
      good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      code = code * 16 + static_cast<std::uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    const bool scalar = code < 0xD800 || (code >= 0xE000 && code <= 0x10FFFF);
    if (!good || !scalar) fail("an unknown escape in a string", "\\\\ for a backslash");
    return utf8(code);
  }

  std::string_view rest_;
  const std::string& where_;
};

}  // namespace

std::string to_toml(const TrainConfig& config) {
  std::string text;
  std::string group;
  for (const Option& option : options()) {
    if (option.name == "resume" || option.name == "overwrite") continue;
    if (option.group != group) {
      group = option.group;
      text += (text.empty() ? "# " : "\n# ") + group + "\n";
    }
    const std::string value = option_text(config, option);
    const bool is_string = option.type == OptionType::kString || value == "auto";
    text += "# " + option.help + (option.unit.empty() ? "" : " [" + option.unit + "]") + "\n";
    text += option.key + " = " + (is_string ? quoted(value) : value) + "\n";
  }
  return text;
}

void apply_toml(TrainConfig& config, const std::string& text, const std::string& file) {
  std::map<const Option*, std::string> seen;  // with the keys as written
  std::vector<std::string> unknown;
  std::string unknown_place;  // of the last one
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string place = file + ":" + std::to_string(++line_number);
    LineReader line(std::string_view(text).substr(begin, end - begin), place);
    begin = end + 1;
    if (line.done()) continue;
    const std::string key = line.key();
    line.equals();
    const std::string value = line.value();
    if (!line.done()) line.fail("something after the value", "one value a line");
    if (find_option(key) == nullptr) {
      unknown.push_back(key);
      unknown_place = place;
      continue;
    }
    const auto [first, is_new] = seen.emplace(find_option(key), key);
    if (!is_new) {
      const bool same = first->second == key;
      throw InputError(ErrorParts{same ? "a key given twice" : "two names of one option are given",
                                  same ? key : first->second + " and " + key,
                                  same ? "once" : "one of them", place, ""});
    }
    set_option(config, key, value, place + ": " + key);
  }
  if (unknown.empty()) return;
  refuse_unknown_options(
      unknown, unknown.size() == 1 ? unknown_place : file,
      [](const std::string& key) { return unknown_option_hint(key, Wording::kKeywords); });
}

void load_toml(TrainConfig& config, const std::string& path) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  std::size_t size = 0;
  open_for_reading(path, &size);
  if (size > kMostBytes) {
    throw InputError(ErrorParts{"too large for a configuration", std::to_string(size) + " bytes",
                                "at most " + std::to_string(kMostBytes), path, ""});
  }
  apply_toml(config, read_text_file(path), path);
}

}  // namespace cllm
