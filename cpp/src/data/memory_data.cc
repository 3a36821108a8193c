#include "cllm/memory_data.h"

#include <cstring>
#include <utility>

#include "base/refuse.h"
#include "base/sha256.h"
#include "cllm/error.h"
#include "data/token_layout.h"

namespace cllm {
namespace {

constexpr const char* kInMemory = " in memory (";
constexpr const char* kHash = ", SHA-256 ";
constexpr std::size_t kDigits = 12;  // of the hash

MemoryData::Pointer make(MemoryData::Kind kind, std::string bytes, const std::string& what,
                         const std::string& length) {
  auto data = std::make_shared<MemoryData>();
  data->kind = kind;
  data->bytes = std::move(bytes);
  data->name =
      what + kInMemory + length + kHash + hex(sha256(data->bytes)).substr(0, kDigits) + ")";
  return data;
}

template <class T>
void append(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

template <class T>
std::vector<T> values(const std::string& bytes) {
  std::vector<T> all(bytes.size() / sizeof(T));
  std::memcpy(all.data(), bytes.data(), bytes.size());
  return all;
}

}  // namespace

MemoryData::Pointer MemoryData::text(std::string text, const std::string& where) {
  if (text.empty()) refuse("nothing to train on", "an empty text", "text", where);
  const std::string length = std::to_string(text.size()) + " bytes";
  return make(Kind::kText, std::move(text), "text", length);
}

MemoryData::Pointer MemoryData::documents(const std::vector<std::string>& documents,
                                          const std::string& where) {
  if (documents.empty()) refuse("nothing to train on", "no document", "texts", where);
  std::string bytes;
  for (const std::string& document : documents) {
    for (const char c : document) append<std::uint16_t>(bytes, static_cast<unsigned char>(c));
    append<std::uint16_t>(bytes, TokenLayout::kByteVocabulary - 1);
  }
  const std::string length = std::to_string(documents.size()) + " of them, " +
                             std::to_string(bytes.size() / 2) + " tokens";
  return make(Kind::kDocuments, std::move(bytes), "documents", length);
}

MemoryData::Pointer MemoryData::tokens(const std::vector<std::int32_t>& ids,
                                       const std::string& where) {
  if (ids.empty()) refuse("nothing to train on", "no token", "ids of tokens", where);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0) continue;
    refuse("a token id is negative", std::to_string(ids[i]), "at least 0",
           where + "[" + std::to_string(i) + "]");
  }
  std::string bytes(ids.size() * sizeof ids[0], '\0');
  std::memcpy(bytes.data(), ids.data(), bytes.size());
  return make(Kind::kTokens, std::move(bytes), "ids", std::to_string(ids.size()) + " tokens");
}

std::vector<std::string> MemoryData::documents() const {
  std::vector<std::string> all(1);
  for (const std::uint16_t token : values<std::uint16_t>(bytes)) {
    if (token < TokenLayout::kByteVocabulary - 1) {
      all.back() += static_cast<char>(token);
    } else {
      all.emplace_back();
    }
  }
  all.pop_back();  // what follows the last end of a text is nothing
  return all;
}

std::vector<std::int32_t> MemoryData::tokens() const { return values<std::int32_t>(bytes); }

bool MemoryData::is_name(const std::string& name) {
  return name.find(kInMemory) != std::string::npos && name.find(kHash) != std::string::npos &&
         name.back() == ')';
}

MemoryData::Pointer find_memory_data(const TrainConfig& config, const std::string& name) {
  for (const MemoryData::Pointer& data : config.in_memory) {
    if (data->name == name) return data;
  }
  return nullptr;
}

}  // namespace cllm
