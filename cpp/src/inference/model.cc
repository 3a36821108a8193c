#include "cllm/model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/files.h"
#include "base/refuse.h"
#include "base/sha256.h"
#include "base/token_rows.h"
#include "checkpoint/adapter_folder.h"
#include "checkpoint/held_folder.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "checkpoint/trainer_state.h"
#include "cllm/error.h"
#include "cllm/memory_data.h"
#include "cllm/stop_text.h"
#include "cllm/wording.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "engine/evaluation_data.h"
#include "engine/model_runner.h"
#include "model/adapters.h"
#include "model/decode.h"
#include "model/inference.h"
#include "model/initialize.h"
#include "model/tensors.h"
#include "text/text_tokenizer.h"

namespace cllm {
namespace {

std::int64_t checked_workers(std::int64_t workers) {
  constexpr std::int64_t kMost = 1 << 20;
  if (workers >= 0 && workers <= kMost) return workers;
  throw InputError({"value out of range", std::to_string(workers),
                    "0 (the cores this process may use) to " + std::to_string(kMost), "workers",
                    ""});
}

/// Removes the dropout rates. What is asked of a model here is asked of all of it; its rates are
/// for the next training.
ModelConfig without_dropout(ModelConfig config) {
  config.dropout = {};
  return config;
}

/// Returns the folder of a model that an adapter can be added to.
std::string whole_model(const std::string& path) {
  std::string folder = resolve_model_folder(path);
  if (!is_adapter_folder(folder)) return folder;
  refuse("an adapter is added to a whole model", "another adapter", "the folder of a model", folder,
         "merge that one first: Model.load(folder).save(new)");
}

/// Returns the folder that an adapter says it was trained beside.
std::string base_of(const AdapterDescription& adapter, const std::string& where) {
  if (!adapter.base.empty() && is_there(adapter.base)) return adapter.base;
  refuse("the model is not here that this adapter was trained beside",
         adapter.base.empty() ? "no name of one" : adapter.base, "its folder", where,
         "name the model, and the adapter beside it: " + option_word("model", "MODEL") + " " +
             option_word("adapter", where));
}

/// Checks that a model is still the one that the adapters in a folder were trained beside, where
/// that folder says so.
void check_base(const ModelState& state, const std::string& base, const HeldFolder& adapters) {
  if (!is_there(adapters.path() + "/" + kTrainerStateName)) return;
  const std::optional<BaseModel> trained = read_trainer_state(adapters.path()).base;
  if (!trained) return;
  WeightsChecksum checksum;
  for (const TensorEntry& weight : state.layout.tensors()) {
    checksum.add(weight, state.parameters.data());
  }
  if (checksum.text() == trained->checksum) return;
  refuse("the weights changed since this adapter was trained beside them",
         "CRC-32C " + checksum.text(), trained->checksum, base,
         "where it is to be added all the same, name both: " + option_word("model", base) + " " +
             option_word("adapter", adapters.name()));
}

/// Reads and continues one text, with products of its own.
struct Reader {
  Reader(const ModelConfig& config, const ModelState& state, std::int64_t most)
      : gemm(make_gemm(default_gemm_backend(), kernels())),
        generator(config, state.layout, state.parameters.data(), *gemm, kernels(), most) {}
  const std::unique_ptr<Gemm> gemm;
  Generator generator;
};

}  // namespace

class Model::Impl {
 public:
  Impl(const ModelDescription& what, std::string where, std::int64_t workers)
      : folder(std::move(where)),
        description(what),
        state(std::make_shared<ModelState>(without_dropout(description.config))),
        runner(*state, checked_workers(workers)) {}

  EvaluationReport evaluate(const TokenSource& source, std::int64_t tokens, std::int64_t text_bytes,
                            const std::function<bool()>& stop) {
    check_count(tokens);
    check_readable(source, description.config, description.byte_tokens);
    check_tokenizer(source);
    const std::int64_t length = longest_sequence(source, description.config.context);
    const std::unique_ptr<EvaluationRows> rows = rows_to_evaluate(source, length, tokens);
    const double sum = runner.loss_sum(*rows, length, stop);
    return evaluation_of(source, *rows, 0, sum / static_cast<double>(rows->targets()), text_bytes);
  }

  /// Adds an adapter to the weights, and takes the files that it brings.
  void merge(const LoraConfig& lora, const HeldFolder& from) {
    check_adapter(from.path(), lora, description.config);
    const ParameterLayout layout(description.config, false, lora);
    std::vector<float> adapters(static_cast<std::size_t>(layout.trainables().flat_size()));
    read_adapters(from.path(), layout, adapters.data());
    merge_adapters(layout, adapters.data(), state->parameters.data());
    for (auto& file : carried_files(from.path())) {
      if (file.first == "tokenizer.json") folder = from.name();
      if (file.first == "generation_config.json") {
        description.end_tokens =
            parse_end_tokens(file.second, from.path() + "/" + file.first, description);
      }
      const auto same = [&file](const auto& known) { return known.first == file.first; };
      extra.erase(std::remove_if(extra.begin(), extra.end(), same), extra.end());
      extra.push_back(std::move(file));
    }
  }

  /// Throws InputError when the data says that its tokens are those of another tokenizer.
  void check_tokenizer(const TokenSource& source) const {
    const std::string* const ours = find_file(extra, "tokenizer.json");
    const std::string theirs = source.tokenizer();
    if (description.byte_tokens || ours == nullptr || theirs.empty()) return;
    const std::string known = hex(sha256(*ours));
    if (known == theirs) return;
    refuse("the data were made with another tokenizer than the model's", "SHA-256 " + theirs,
           known + ", as " + folder + "/tokenizer.json", source.path(),
           "evaluate on the text itself");
  }

  /// Returns the tokenizer of the folder, which is read when it is first asked for.
  const TextTokenizer& tokenizer() {
    if (tokenizer_) return *tokenizer_;
    if (description.byte_tokens) {
      tokenizer_ = make_byte_tokenizer();
      return *tokenizer_;
    }
    const std::string* const json = find_file(extra, "tokenizer.json");
    const std::string* const config = find_file(extra, "tokenizer_config.json");
    const std::string where = folder.empty() ? "the model" : folder + "/tokenizer.json";
    if (json == nullptr) {
      throw InputError({"no tokenizer", "a model of token ids", "tokenizer.json beside it", where,
                        "give it token ids instead of text"});
    }
    tokenizer_ = make_bpe_tokenizer(*json, config == nullptr ? "" : *config, where);
    return *tokenizer_;
  }

  std::string folder;
  ModelDescription description;
  ExtraFiles extra;
  const std::shared_ptr<ModelState> state;
  ModelRunner runner;
  std::unique_ptr<Reader> reader;  // of the last text that was to be kept

 private:
  std::unique_ptr<TextTokenizer> tokenizer_;
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::load(const std::string& path, std::int64_t workers, const std::string& adapter) {
  std::unique_ptr<Impl> impl;
  const auto read_model = [&](const std::string& base) {
    const auto find = [&base] { return whole_model(base); };
    read_held_folder(find, [&](const HeldFolder& folder) {
      const ModelDescription description = read_model_config(folder.path());
      check_parameters_fit(description.config, sizeof(float), folder.name());
      impl.reset();  // of a folder that was replaced meanwhile: two would need twice the memory
      impl = std::make_unique<Impl>(description, folder.name(), workers);
      read_model_parameters(folder.path(), impl->state->layout, impl->state->parameters.data());
      impl->extra = carried_files(folder.path());
    });
  };
  const auto find = [&] {
    return adapter.empty() ? resolve_model_folder(path) : resolve_adapter_folder(adapter);
  };
  if (!is_adapter_folder(find())) {
    read_model(path);
    return Model(std::move(impl));
  }
  read_held_folder(find, [&](const HeldFolder& folder) {
    const AdapterDescription description = read_adapter_config(folder.path());
    read_model(adapter.empty() ? base_of(description, folder.name()) : path);
    if (adapter.empty()) check_base(*impl->state, impl->folder, folder);
    impl->merge(description.lora, folder);
  });
  return Model(std::move(impl));
}

Model Model::create(const ModelConfig& config, std::int64_t seed, bool byte_tokens,
                    std::int64_t workers) {
  check(config);
  if (byte_tokens && config.vocabulary < kByteVocabulary) {
    throw InputError({"too few tokens for bytes", std::to_string(config.vocabulary), "257 at least",
                      "vocab", ""});
  }
  check_parameters_fit(config, sizeof(float), "layers, dim, vocab, seq");
  ModelDescription description;
  description.config = config;
  description.byte_tokens = byte_tokens;
  if (byte_tokens) description.end_tokens = {kEndOfText};
  auto impl = std::make_unique<Impl>(description, "", workers);
  initialize(config, impl->state->layout, static_cast<std::uint64_t>(seed),
             impl->state->parameters.data());
  return Model(std::move(impl));
}

void Model::save(const std::string& folder, const std::string& dtype) const {
  const std::optional<WeightType> type = weight_type_named(dtype);
  if (!type) refuse("no type of weights", dtype, "fp32, bf16 or fp16", "dtype");
  write_model_folder(folder, config(), impl_->state->layout, impl_->state->parameters.data(),
                     byte_tokens(), impl_->extra, *type);
}

const ModelConfig& Model::config() const noexcept { return impl_->description.config; }
const std::string& Model::folder() const noexcept { return impl_->folder; }
const std::vector<std::int32_t>& Model::end_tokens() const noexcept {
  return impl_->description.end_tokens;
}
bool Model::byte_tokens() const noexcept { return impl_->description.byte_tokens; }

std::vector<Tensor> Model::parameters() {
  return tensor_refs(impl_->state->layout.weights(), impl_->state->parameters.data(), impl_->state);
}

void Model::check_shape(const char* name, std::int64_t sequences, std::int64_t length) const {
  check_tokens_shape(name, {nullptr, sequences, length}, config().context);
  const double rows = static_cast<double>(sequences) * static_cast<double>(length);
  const double needed = rows * (4 * static_cast<double>(config().vocabulary) + 16);
  const double limit = memory_limit_bytes();
  if (needed <= limit) return;
  const auto mib = [](double bytes) { return std::to_string(std::llround(bytes / 1048576)); };
  throw InputError({"the arrays do not fit in memory", mib(needed) + " MiB",
                    "at most " + mib(limit) + " MiB", name, "fewer sequences at once"});
}

void Model::logits(const TokenArray& tokens, float* logits) {
  check_tokens("tokens", tokens, config().context, config().vocabulary);
  impl_->runner.logits(tokens, logits);
}

double Model::loss_and_gradients(const TokenArray& inputs, const TokenArray& targets,
                                 const std::vector<float*>& gradients,
                                 const TokenArray& first_keys) {
  check_tokens("inputs", inputs, config().context, config().vocabulary);
  check_targets(inputs, targets, config().vocabulary);
  check_first_keys(inputs, first_keys);
  const std::int64_t rows = targets.sequences * targets.length;
  if (count_targets(targets.data, rows) == 0) {
    refuse("no target is counted", "-1 everywhere", "one token at least", "targets");
  }
  const ModelRunner::Gradient gradient = impl_->runner.gradient(
      {inputs.data, targets.data, first_keys.data}, inputs.sequences, inputs.length);
  const std::vector<TensorEntry>& tensors = impl_->state->layout.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const float* const from = gradient.values + tensors[i].offset;
    std::copy(from, from + tensors[i].size, gradients[i]);
  }
  return gradient.loss;
}

EvaluationReport Model::evaluate(const std::string& path, std::int64_t tokens,
                                 const std::function<bool()>& stop) {
  return impl_->evaluate(open_for_evaluation(path, config()), tokens, 0, stop);
}

EvaluationReport Model::evaluate(const MemoryData::Pointer& data, std::int64_t tokens,
                                 std::int64_t text_bytes, const std::function<bool()>& stop) {
  return impl_->evaluate(TokenSource(data), tokens, text_bytes, stop);
}

std::vector<std::string> Model::texts_to_encode(const std::string& path) const {
  return byte_tokens() ? std::vector<std::string>{} : text_files_for_evaluation(path);
}

void Model::generate(const std::vector<std::int32_t>& prompt, std::int64_t count,
                     const SamplingOptions& options,
                     const std::function<bool(std::int32_t)>& on_token, bool keep) {
  check(options);
  check_count(count);
  if (count == 0) return;
  const std::int64_t most = tokens_read(prompt, count, config().context);
  std::unique_ptr<Reader> reader = keep ? std::move(impl_->reader) : nullptr;
  if (reader == nullptr || reader->generator.room() < std::min(most, config().context)) {
    // Twice the room, so that a text that grows is read anew only now and then.
    reader = std::make_unique<Reader>(config(), *impl_->state, (keep ? 2 : 1) * most);
  }
  decode(reader->generator, prompt, count, options,
         byte_tokens() ? kByteVocabulary : config().vocabulary, end_tokens(), on_token);
  if (keep) impl_->reader = std::move(reader);
}

std::vector<std::int32_t> Model::encode(const std::string& text) const {
  return impl_->tokenizer().encode(text);
}

void Model::generate_text(const std::string& prompt, std::int64_t count,
                          const SamplingOptions& options,
                          const std::function<bool(const std::string& text)>& on_text,
                          const std::vector<std::string>& stops) {
  const TextTokenizer& tokenizer = impl_->tokenizer();
  SamplingOptions drawn = options;
  if (drawn.known == 0) drawn.known = tokenizer.known();
  const std::unique_ptr<TokenText> text = tokenizer.text();
  StopText shown(stops);
  bool is_heard = true;
  const auto tell = [&](const std::string& piece) {
    if (!piece.empty()) is_heard = on_text(piece);
    return is_heard && !shown.is_over();
  };
  generate(encode(prompt.empty() ? "\n" : prompt), count, drawn,
           [&](std::int32_t token) { return tell(shown.add(text->add(token))); });
  if (is_heard) tell(shown.add(text->finish()) + shown.finish());
}

}  // namespace cllm
