#include "checkpoint/families/config_keys.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.h"
#include "cllm/error.h"

namespace cllm {

using Value = nlohmann::ordered_json;

struct ConfigKeys::Json {
  Value object;
};

namespace {

const Value& value_of(const Value& object, const std::string& key) {
  static const Value null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::string number_text(double number) { return Value(number).dump(); }

}  // namespace

ConfigKeys::ConfigKeys(const std::string& text, const std::string& where, const std::string& what,
                       const char* verdict)
    : where_(where), verdict_(verdict) {
  check_json_text(text, where);
  auto json = std::make_shared<Json>();
  try {
    json->object = Value::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw InputError({"not JSON", error.what(), what, where, ""});
  }
  if (!json->object.is_object()) {
    throw InputError({"not a JSON object", json->object.type_name(), "", where, ""});
  }
  json_ = std::move(json);
}

ConfigKeys::ConfigKeys(std::shared_ptr<const Json> json, std::string where, const char* verdict)
    : json_(std::move(json)), where_(std::move(where)), verdict_(verdict) {}
ConfigKeys::ConfigKeys(ConfigKeys&&) noexcept = default;
ConfigKeys::~ConfigKeys() = default;

const std::string& ConfigKeys::where() const noexcept { return where_; }

void ConfigKeys::refuse(const std::string& key, const std::string& wanted,
                        const std::string& hint) const {
  constexpr std::size_t kMost = 200;  // of a value that anyone may have written
  std::string seen = value_of(json_->object, key).dump(-1, ' ', true);
  if (seen.size() > kMost) seen = seen.substr(0, kMost) + "...";
  throw InputError({std::string(verdict_) + ": \"" + key + "\"", seen, wanted, where_, hint});
}

bool ConfigKeys::has(const char* key) const { return !value_of(json_->object, key).is_null(); }
bool ConfigKeys::is_there(const char* key) const { return json_->object.contains(key); }

std::int64_t ConfigKeys::size(const char* key, std::int64_t min, std::int64_t max,
                              std::optional<std::int64_t> otherwise) const {
  const Value& value = value_of(json_->object, key);
  if (value.is_null() && otherwise) return *otherwise;
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= min && number <= max) return number;
  }
  refuse(key, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
}

double ConfigKeys::number(const char* key, double min, double max, double otherwise) const {
  const Value& value = value_of(json_->object, key);
  if (value.is_null()) return otherwise;
  if (value.is_number()) {
    const auto number = value.get<double>();
    if (number >= min && number <= max) return number;
  }
  refuse(key, "a number from " + number_text(min) + " to " + number_text(max));
}

bool ConfigKeys::flag(const char* key, bool otherwise) const {
  const Value& value = value_of(json_->object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) refuse(key, "true or false");
  return value.get<bool>();
}

std::string ConfigKeys::text(const char* key, const std::string& otherwise) const {
  const Value& value = value_of(json_->object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_string()) refuse(key, "a text");
  return value.get<std::string>();
}

std::vector<std::string> ConfigKeys::texts(const char* key) const {
  const Value& value = value_of(json_->object, key);
  std::vector<std::string> found;
  if (value.is_null()) return found;
  if (!value.is_array()) refuse(key, "a list of texts");
  for (const Value& one : value) {
    if (!one.is_string()) refuse(key, "a list of texts");
    found.push_back(one.get<std::string>());
  }
  return found;
}

std::vector<std::int64_t> ConfigKeys::ids(const char* key) const {
  const Value& value = value_of(json_->object, key);
  std::vector<std::int64_t> found;
  const auto add = [&](const Value& one) {
    if (!one.is_number_integer()) refuse(key, "a token, a list of tokens or null");
    found.push_back(one.get<std::int64_t>());
  };
  if (value.is_array()) {
    for (const Value& one : value) add(one);
  } else if (!value.is_null()) {
    add(value);
  }
  return found;
}

std::optional<ConfigKeys> ConfigKeys::object(const char* key) const {
  const Value& value = value_of(json_->object, key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_object()) refuse(key, "an object");
  return ConfigKeys(std::shared_ptr<const Json>(std::make_shared<Json>(Json{value})),
                    where_ + ": \"" + key + "\"", verdict_);
}

bool ConfigKeys::is_text(const char* key) const { return value_of(json_->object, key).is_string(); }

void ConfigKeys::require(const char* key, bool wanted) const {
  if (flag(key, wanted) != wanted) refuse(key, wanted ? "true" : "false");
}

void ConfigKeys::require_none(const char* key) const {
  if (has(key)) refuse(key, "none");
}

void ConfigKeys::require_nothing(const char* key) const {
  const Value& value = value_of(json_->object, key);
  const bool is_off = value.is_boolean() && !value.get<bool>();
  if (!is_off && !value.empty()) refuse(key, "none");
}

// -- writing --------------------------------------------------------------------------------------

struct ConfigWriter::Json {
  Value object = Value::object();
};

ConfigWriter::ConfigWriter(const std::string& base, bool keeps)
    : json_(std::make_unique<Json>()), keeps_(keeps) {
  if (!base.empty()) json_->object = Value::parse(base);
}
ConfigWriter::~ConfigWriter() = default;

template <class V>
void ConfigWriter::put(const char* key, V&& value) {
  if (!keeps_ || !json_->object.contains(key)) json_->object[key] = std::forward<V>(value);
}

void ConfigWriter::set(const char* key, std::int64_t value) { put(key, value); }
void ConfigWriter::set(const char* key, double value) { put(key, value); }
void ConfigWriter::set(const char* key, bool value) { put(key, value); }
void ConfigWriter::set(const char* key, const char* value) { put(key, value); }
void ConfigWriter::set(const char* key, const ConfigWriter& object) {
  put(key, object.json_->object);
}
void ConfigWriter::set_list(const char* key, const std::vector<std::string>& texts) {
  put(key, Value(texts));
}
void ConfigWriter::set_empty(const char* key) { put(key, Value::object()); }
void ConfigWriter::set_null(const char* key) { put(key, nullptr); }
void ConfigWriter::replace(const char* key, const char* value) { json_->object[key] = value; }
void ConfigWriter::replace(const char* key, const ConfigWriter& object) {
  json_->object[key] = object.json_->object;
}

std::string ConfigWriter::text() const {
  // A path may hold any bytes.
  return json_->object.dump(2, ' ', false, Value::error_handler_t::replace) + "\n";
}

}  // namespace cllm
