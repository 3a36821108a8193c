// A model in memory is read from a folder or new; it gives logits and gradients and generates text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cllm/model_config.h"
#include "cllm/sampling.h"
#include "cllm/tensor.h"
#include "cllm/train_observer.h"

namespace cllm {

struct MemoryData;  // cllm/memory_data.h

/// Letters in shapes: B sequences, T tokens of each, V' vocabulary. Thread safety: one thread at a
/// time. The first call that computes makes threads; a call of another shape makes them again; they
/// end with the model. `workers` = 0 uses the cores that this process may use; no bit of any result
/// depends on it.
class Model {
 public:
  /// Reads a model folder, or the newest model of a run folder (final/, else checkpoints/latest),
  /// and checks it against its manifest. The folder of a LoRA adapter, of PEFT or of a run, is the
  /// model that it names, with the adapter added to its weights; `adapter` is added to the model in
  /// `folder` instead. Throws InputError for a model that cannot be read or run, and for an adapter
  /// that does not fit to it.
  static Model load(const std::string& folder, std::int64_t workers = 0,
                    const std::string& adapter = "");
  /// Makes new weights as training starts from. `byte_tokens`: a token is a byte, 256 ends the
  /// text.
  static Model create(const ModelConfig& config, std::int64_t seed, bool byte_tokens,
                      std::int64_t workers = 0);

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  /// Writes a folder that from_pretrained opens, with the tokenizer and the settings that the model
  /// was loaded with. `dtype` is what the weights are rounded to: fp32, bf16 or fp16. Throws
  /// InputError when the folder cannot be made, and for a weight that is too large for fp16.
  void save(const std::string& folder, const std::string& dtype = "fp32") const;

  const ModelConfig& config() const noexcept;
  /// Returns the folder that was read, with run folders resolved; "" for a new model. With an
  /// adapter it is the folder of the two that has the tokenizer, the adapter's if both have.
  const std::string& folder() const noexcept;
  /// Returns the tokens that end a text: those of generation_config.json, else of config.json.
  const std::vector<std::int32_t>& end_tokens() const noexcept;
  /// Says whether tokens are bytes, so that text can go in and out without a tokenizer.
  bool byte_tokens() const noexcept;
  /// Returns every tensor, in the order of the file. Writing to one changes the model.
  std::vector<Tensor> parameters();

  /// Throws InputError, calling the array `name`, for a shape [sequences, length] that the calls
  /// below refuse, or whose results would not fit in memory. It is for callers who are about to
  /// make the arrays.
  void check_shape(const char* name, std::int64_t sequences, std::int64_t length) const;

  /// Computes logits[B, T, V'] after every token of tokens[B, T]. Throws InputError for an empty
  /// array, a T above the model's context, or a token outside the vocabulary.
  void logits(const TokenArray& tokens, float* logits);

  /// Returns the mean cross-entropy over targets[B, T], and computes its gradient for every tensor,
  /// in the order of parameters() and in their shapes. A target of -1 is not counted. Sequences may
  /// hold several documents: first_keys[B, T] give each token the index in its sequence of the
  /// first token of its document, from which positions count and before which attention sees
  /// nothing; without data each sequence is one document. Throws InputError as logits() does, and
  /// when no target is counted.
  double loss_and_gradients(const TokenArray& inputs, const TokenArray& targets,
                            const std::vector<float*>& gradients,
                            const TokenArray& first_keys = {});

  /// Returns the mean loss over the tokens of what TrainConfig::data can name, or of data in
  /// memory, in windows of the model's context that lie side by side; NaN when `stop`, asked now
  /// and then, returned true. `tokens` is how many to predict, in windows that are spread evenly
  /// and the same ones every time; 0: all. `text_bytes` counts the bytes of text that the data's
  /// tokens stand for, where the data does not say; 0: not known. Throws InputError for data that
  /// the model cannot read.
  EvaluationReport evaluate(const std::string& path, std::int64_t tokens = 0,
                            const std::function<bool()>& stop = nullptr);
  EvaluationReport evaluate(const std::shared_ptr<const MemoryData>& data, std::int64_t tokens = 0,
                            std::int64_t text_bytes = 0,
                            const std::function<bool()>& stop = nullptr);

  /// Returns the files of such a path that are text while the model's tokens are no bytes, so that
  /// its tokenizer has to encode them first; none when evaluate() can read the data.
  std::vector<std::string> texts_to_encode(const std::string& path) const;

  /// Continues prompt[n] by at most `count` tokens and gives each to `on_token` as it comes, until
  /// `on_token` returns false. An end-of-text token of the model (generation_config.json, else
  /// config.json) ends it early and is not given. Texts longer than the model's context slide:
  /// see model/inference.h. Throws InputError for an empty prompt. With `keep` what was read stays
  /// in memory, and the next such call reads only what is new of a prompt that begins as the text
  /// before did: the turns of a conversation. REQUIRES: the weights stay as they are between these.
  void generate(const std::vector<std::int32_t>& prompt, std::int64_t count,
                const SamplingOptions& options, const std::function<bool(std::int32_t)>& on_token,
                bool keep = false);

  /// Returns the tokens of a text: its bytes when byte_tokens(), else what the folder's
  /// tokenizer.json makes of it, as Hugging Face's library does. Throws InputError for a folder
  /// without a tokenizer, for one that is no byte-level BPE, and for text that is not UTF-8.
  std::vector<std::int32_t> encode(const std::string& text) const;

  /// Generates with text. An empty prompt starts as after a line break. Pieces are whole characters
  /// and no special tokens; those of a byte model are its bytes. It ends before any of `stops`.
  /// Throws InputError as encode() does.
  void generate_text(const std::string& prompt, std::int64_t count, const SamplingOptions& options,
                     const std::function<bool(const std::string& text)>& on_text,
                     const std::vector<std::string>& stops = {});

 private:
  class Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cllm
