// The JSON files of a model are read and written key by key; what cannot be right is refused by its
// name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cllm {

/// Reads an object of a JSON file. A key that is absent and one that is null are the same, unless a
/// method says otherwise. Every method throws InputError for a value of another kind, naming the
/// file, the key and what is wanted.
class ConfigKeys {
 public:
  /// Parses the text; `what` says what such a file is, and `verdict` what a bad value means.
  ConfigKeys(const std::string& text, const std::string& where, const std::string& what,
             const char* verdict = "model cannot be run here");
  ConfigKeys(ConfigKeys&&) noexcept;
  ~ConfigKeys();

  /// Says whether the key is there and not null.
  bool has(const char* key) const;
  /// Says whether the key is there, be it null.
  bool is_there(const char* key) const;
  /// A whole number from min to max; `otherwise` where there is none. Without it there must be one.
  /// REQUIRES: min >= 0.
  std::int64_t size(const char* key, std::int64_t min, std::int64_t max,
                    std::optional<std::int64_t> otherwise = std::nullopt) const;
  /// A number from min to max.
  double number(const char* key, double min, double max, double otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  std::string text(const char* key, const std::string& otherwise) const;
  /// The texts of a list; none where there is no list.
  std::vector<std::string> texts(const char* key) const;
  /// The whole numbers that are there: one, a list of them, or none.
  std::vector<std::int64_t> ids(const char* key) const;
  std::optional<ConfigKeys> object(const char* key) const;
  bool is_text(const char* key) const;

  /// Refuses the value of a key, whatever it is.
  [[noreturn]] void refuse(const std::string& key, const std::string& wanted,
                           const std::string& hint = "") const;
  /// Refuses a key that is there with another value than this one.
  void require(const char* key, bool wanted) const;
  /// Refuses a key that is there and not null.
  void require_none(const char* key) const;
  /// Refuses a key that is there and neither null, false nor empty.
  void require_nothing(const char* key) const;

  const std::string& where() const noexcept;

 private:
  struct Json;
  ConfigKeys(std::shared_ptr<const Json> json, std::string where, const char* verdict);

  std::shared_ptr<const Json> json_;
  std::string where_;  // the file, and the object in it
  const char* verdict_;
};

/// Writes an object of a JSON file, on top of one that may be there already.
class ConfigWriter {
 public:
  /// Starts from the text of an object; "" is an empty one. REQUIRES: the text is JSON. If `keeps`,
  /// keys of it stay as they are, whatever set() says.
  explicit ConfigWriter(const std::string& base = "", bool keeps = false);
  ~ConfigWriter();
  ConfigWriter(const ConfigWriter&) = delete;
  ConfigWriter& operator=(const ConfigWriter&) = delete;

  void set(const char* key, std::int64_t value);
  void set(const char* key, double value);
  void set(const char* key, bool value);
  void set(const char* key, const char* value);
  void set(const char* key, const ConfigWriter& object);
  void set_list(const char* key, const std::vector<std::string>& texts);
  void set_empty(const char* key);  ///< an object without keys
  void set_null(const char* key);
  /// Sets these keys also where keys stay as they are.
  void replace(const char* key, const char* value);
  void replace(const char* key, const ConfigWriter& object);
  /// Returns the text, which ends with a line break.
  std::string text() const;

 private:
  struct Json;
  template <class Value>
  void put(const char* key, Value&& value);

  std::unique_ptr<Json> json_;
  bool keeps_;
};

}  // namespace cllm
