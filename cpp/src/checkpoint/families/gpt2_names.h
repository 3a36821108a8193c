// The names of GPT-2's tensors in files vary: other programs leave the prefix out, store the head
// beside the embedding that it equals, and older ones store constants of the causal mask.
#pragma once

#include <string>

namespace cllm {

/// A head of its own, which must equal the token embedding.
constexpr const char* kHeadName = "lm_head.weight";
constexpr const char* kModelPrefix = "transformer.";

/// Returns the shorter of a tensor's two names: `name` without "transformer.".
std::string without_prefix(const std::string& name);

/// Says whether `name` is a constant of the causal mask, which older versions of `transformers`
/// stored in each attention layer.
bool is_mask_buffer(const std::string& name);

}  // namespace cllm
