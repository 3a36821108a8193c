// A trained model read from a folder, for generating text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cllm/model_config.h"

namespace cllm {

/// How the next token is drawn. The filters apply in this order: temperature, top_k, top_p.
struct SamplingOptions {
  double temperature = 0.8;  ///< 0 takes the most likely token; lower is safer, higher more varied
  std::int64_t top_k = 0;    ///< only the k most likely tokens; 0 keeps all
  double top_p = 1.0;        ///< only the fewest tokens whose probabilities reach p; 1 keeps all
  std::int64_t seed = 1337;  ///< same seed, same text
};

/// Throws InputError naming the option when a value cannot be.
void check(const SamplingOptions& options);

/// Thread safety: one thread at a time.
class PretrainedModel {
 public:
  /// Reads a model folder, or the newest model of a run folder (final/, else checkpoints/latest),
  /// and checks it against its manifest. Throws InputError for what cannot be read or run.
  static PretrainedModel load(const std::string& folder);

  PretrainedModel(PretrainedModel&&) noexcept;
  PretrainedModel& operator=(PretrainedModel&&) noexcept;
  ~PretrainedModel();

  const ModelConfig& config() const noexcept;
  /// The folder that was read, run folders resolved.
  const std::string& folder() const noexcept;
  /// Whether tokens are bytes, so that text can go in and out without a tokenizer.
  bool byte_tokens() const noexcept;

  /// Continues `prompt` by at most `tokens` bytes, each handed to `on_text` as it comes; ends early
  /// at the end-of-text token. An empty prompt starts as after a line break. Texts longer than the
  /// model's positions slide: see model/inference.h. Throws InputError unless byte_tokens().
  void generate(const std::string& prompt, std::int64_t tokens, const SamplingOptions& options,
                const std::function<void(const std::string& text)>& on_text);

 private:
  class Impl;
  explicit PretrainedModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cllm
