#include "cllm/pretrained.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "checkpoint/model_folder.h"
#include "cllm/error.h"
#include "cpu/kernel_table.h"
#include "gemm/gemm.h"
#include "model/inference.h"
#include "model/layout.h"
#include "model/sampling.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

/// The model folder that `folder` is or, for a run, holds.
std::string resolve(const std::string& folder) {
  const fs::path path = folder;
  for (const fs::path& candidate : {path, path / "final", path / "checkpoints" / "latest"}) {
    if (fs::exists(candidate / "config.json")) return candidate.string();
  }
  throw InputError(
      {"no model here",
       fs::exists(path) ? "no config.json, final/ or checkpoints/latest" : "no such folder",
       "a model folder or a run folder", folder, ""});
}

}  // namespace

class PretrainedModel::Impl {
 public:
  explicit Impl(const std::string& path)
      : folder(resolve(path)),
        description(read_model_config(folder)),
        layout(description.config),
        parameters(static_cast<std::size_t>(layout.flat_size())),
        gemm(make_gemm(default_gemm_backend(), kernels())) {
    read_model_parameters(folder, layout, parameters.data());
  }

  const std::string folder;
  const ModelDescription description;
  const ParameterLayout layout;
  AlignedBuffer<float> parameters;
  std::unique_ptr<Gemm> gemm;
};

PretrainedModel::PretrainedModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PretrainedModel::PretrainedModel(PretrainedModel&&) noexcept = default;
PretrainedModel& PretrainedModel::operator=(PretrainedModel&&) noexcept = default;
PretrainedModel::~PretrainedModel() = default;

PretrainedModel PretrainedModel::load(const std::string& folder) {
  return PretrainedModel(std::make_unique<Impl>(folder));
}

const ModelConfig& PretrainedModel::config() const noexcept { return impl_->description.config; }
const std::string& PretrainedModel::folder() const noexcept { return impl_->folder; }
bool PretrainedModel::byte_tokens() const noexcept { return impl_->description.byte_tokens; }

void PretrainedModel::generate(const std::string& prompt, std::int64_t tokens,
                               const SamplingOptions& options,
                               const std::function<void(const std::string& text)>& on_text) {
  if (!byte_tokens()) {
    throw InputError({"model does not read bytes as tokens", "another tokenizer", "a byte model",
                      impl_->folder, "use a model that was trained on raw text"});
  }
  check(options);
  if (tokens < 0) {
    throw InputError({"value out of range", std::to_string(tokens), "0 or more", "--tokens", ""});
  }
  if (tokens == 0) return;

  std::vector<std::int32_t> start;
  for (const char c : prompt.empty() ? std::string("\n") : prompt) {
    start.push_back(static_cast<unsigned char>(c));
  }
  Generator generator(config(), impl_->layout, impl_->parameters.data(), *impl_->gemm, kernels());
  Span<const float> logits = generator.prefill(start);
  for (std::int64_t i = 0;; ++i) {
    // A vocabulary that was rounded up has entries that stand for nothing.
    const std::int32_t token =
        sample_token(logits.subspan(0, kByteVocabulary), options, static_cast<std::uint64_t>(i));
    if (token == kEndOfText) return;
    on_text(std::string(1, static_cast<char>(token)));
    if (i + 1 == tokens) return;
    logits = generator.step(token);
  }
}

}  // namespace cllm
