// Patterns of tokenizer.json are written for Oniguruma; here they are written again for PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace cllm {

/// Returns a pattern for PCRE2 that matches what `pattern` matches in Oniguruma, which Hugging
/// Face's tokenizers use. The two differ in many things (^ and $, \s, \w, case, possessive counts),
/// so this accepts what is known to mean the same, or rewrites it, and that covers the patterns of
/// GPT-2, GPT-4, Llama 3, Qwen, SmolLM and their like. Throws InputError, naming `where` and the
/// part, for anything else.
std::string pcre2_pattern(std::string_view pattern, const std::string& where);

}  // namespace cllm
