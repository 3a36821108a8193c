// Data in memory can be trained on as a file can. A TrainConfig holds it, and names it where a path
// would stand.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cllm/train_config.h"

namespace cllm {

/// Holds text or tokens. Its name says what it is, how long it is and how its SHA-256 begins, such
/// as "text in memory (1115394 bytes, SHA-256 86c4e6aa9db7)": equal data has equal names. Text has
/// the fingerprint of a file with the same bytes. Immutable.
struct MemoryData {
  enum class Kind {
    kText,       ///< a token is a byte
    kDocuments,  ///< tokens are bytes, and 256 ends each document
    kTokens,     ///< ids of any tokenizer
  };
  Kind kind = Kind::kText;
  std::string name;
  std::string bytes;  ///< text; or uint16 of documents, int32 of ids, as they lie in memory

  using Pointer = std::shared_ptr<const MemoryData>;
  /// These make data. They throw InputError, which calls the argument `where`, when it is empty or
  /// when an id is negative.
  static Pointer text(std::string text, const std::string& where);
  static Pointer documents(const std::vector<std::string>& documents, const std::string& where);
  static Pointer tokens(const std::vector<std::int32_t>& ids, const std::string& where);

  /// Returns the documents, or the ids. REQUIRES: the kind.
  std::vector<std::string> documents() const;
  std::vector<std::int32_t> tokens() const;

  /// Says whether a name is one of data in memory.
  static bool is_name(const std::string& name);
};

/// Returns the data in memory that is called `name`, or null.
MemoryData::Pointer find_memory_data(const TrainConfig& config, const std::string& name);

}  // namespace cllm
