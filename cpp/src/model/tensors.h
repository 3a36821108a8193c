// These functions lead from the arrays of callers to the flat ranges of the engine and back, and
// check what callers hand over.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cllm/tensor.h"
#include "model/tensor_table.h"

namespace cllm {

/// Returns the tensors of a flat range of `table` that `owner` keeps alive.
template <class T>
std::vector<TensorRef<T>> tensor_refs(const TensorTable& table, T* values,
                                      const std::shared_ptr<const void>& owner) {
  std::vector<TensorRef<T>> refs;
  for (const TensorEntry& entry : table.tensors()) {
    refs.push_back({entry.name, entry.shape, std::shared_ptr<T>(owner, values + entry.offset)});
  }
  return refs;
}

/// Throws InputError, which calls the array `name`, when it is empty or longer than `positions`.
void check_tokens_shape(const char* name, const TokenArray& tokens, std::int64_t positions);

/// Throws the same, and also for a token outside the vocabulary.
void check_tokens(const char* name, const TokenArray& tokens, std::int64_t positions,
                  std::int64_t vocabulary);

/// Throws InputError unless `rows` have the shape of the inputs; it calls them `name`.
void check_same_shape(const TokenArray& inputs, const TokenArray& rows,
                      const char* name = "targets");

/// Throws InputError for targets of another shape, or one that is neither a token nor kNotCounted.
void check_targets(const TokenArray& inputs, const TokenArray& targets, std::int64_t vocabulary);

/// Throws InputError for first keys of another shape, or that do not say where documents begin
/// which lie one after another. Without data there are none.
void check_first_keys(const TokenArray& inputs, const TokenArray& first_keys);

/// Throws InputError for a negative number of tokens.
void check_count(std::int64_t tokens);

/// Returns a text such as "[3, 64]".
std::string shape_text(const TokenArray& tokens);

}  // namespace cllm
