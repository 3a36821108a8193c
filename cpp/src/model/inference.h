// A Generator decodes with a key-value cache: one sequence, one token at a time, forward only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bf16.h"
#include "base/span.h"
#include "cllm/model_config.h"
#include "cpu/kernel_table.h"
#include "gemm/gemm.h"
#include "model/layout.h"

namespace cllm {

/// Decodes one sequence. Thread safety: it belongs to one thread, as its Gemm does.
///
/// The keys and values of a token belong to the position where they were made: GPT-2 has learned
/// positions, and other keys are turned by theirs. When the window of T positions is full, the
/// newest floor(T / 2) tokens are read again from position 0 and decoding continues after them. The
/// model therefore always sees between half and all of the window, at the cost of one prefill of T
/// / 2 tokens in every T / 2 steps. A token that left the window is forgotten.
class Generator {
 public:
  /// Makes a generator. `parameters` are in `layout` order; all arguments must outlive it. `most`
  /// is how many tokens it will read between two calls of prefill(): there is room for so many, or
  /// for a window of T if that is less, because the windows of some models take gigabytes.
  /// `adapters` is the flat range of the trainables, where the layout has adapters; `matrices` are
  /// the frozen ones that are kept as Bf16, in place of those in `parameters`.
  Generator(const ModelConfig& config, const ParameterLayout& layout, const float* parameters,
            Gemm& gemm, const KernelTable& kernels, std::int64_t most,
            const float* adapters = nullptr, const Bf16* matrices = nullptr);

  /// Forgets everything and reads `tokens`, of which only the last T count. Returns the logits[V']
  /// after the last one, which are valid until the next call. Throws InputError when there is no
  /// token, or one is outside the vocabulary, and Error when there is no room for them.
  Span<const float> prefill(Span<const std::int32_t> tokens);

  /// Does the same for tokens of which those that the window begins with are not read again. Equal
  /// to rounding: products of other heights may round otherwise.
  Span<const float> read_on(Span<const std::int32_t> tokens);

  /// Reads one more token, with the same result and errors.
  Span<const float> step(std::int32_t token);

  /// Returns the tokens in the window now, at most T.
  std::int64_t context() const noexcept { return static_cast<std::int64_t>(window_.size()); }

  /// Returns the tokens there is room for.
  std::int64_t room() const noexcept { return room_; }

 private:
  void check_token(std::int32_t token) const;
  void check_room(std::int64_t tokens) const;
  float epsilon() const noexcept { return static_cast<float>(config_.norm_epsilon()); }
  const float* bias_of(const Linear& linear) const noexcept {
    return linear.bias == kAbsent ? zeros_.data() : parameters_ + linear.bias;
  }
  /// Appends window_[first..] to the cache, `kChunk` rows at a time.
  void extend(std::int64_t first);
  /// Runs layers 0..L for `rows` tokens at positions first...; leaves the residual stream in x_.
  void forward(std::int64_t first, std::int64_t rows);
  void attend(std::int64_t layer, std::int64_t first, std::int64_t rows);
  /// Returns where the floats of a whole weight lie.
  const float* weight(std::int64_t offset) const noexcept;
  /// Copies a row of an embedding [rows, C].
  void read_row(std::int64_t embedding, std::int64_t row, float* out) const;
  /// Computes y[rows, outputs] = x[rows, inputs] W and what the adapter adds, without the bias.
  void multiply(const Linear& linear, std::int64_t rows, const float* x, float* y);
  void add_adapter(const Linear& linear, std::int64_t rows, const float* x, float* y);
  /// Computes normed_ = the norm of x[rows, C].
  void normalise(const Norm& norm, std::int64_t rows, const float* x);
  /// Makes qkv_[rows, Q + 2K] from normed_.
  void make_heads(const NetworkLayer& layer, std::int64_t rows);
  /// Makes activated_[rows, F] from normed_.
  void activate(const Linear& hidden, std::int64_t rows);
  /// Computes x_ += from[rows, inputs] W + b.
  void add_to_stream(const Linear& linear, std::int64_t rows, const float* from);

  // So many rows go through the layers together: enough to use the matrix units, few enough that
  // the activations stay in the second-level cache.
  static constexpr std::int64_t kChunk = 64;

  const ModelConfig config_;
  const std::int64_t room_;  // S tokens: T, or `most` if that is less
  const ParameterLayout& layout_;
  const float* const parameters_;
  const float* const adapters_;
  const Bf16* const matrices_;
  Gemm& gemm_;
  const KernelTable& kernels_;

  std::vector<std::int32_t> window_;  // the tokens whose keys and values are cached
  AlignedBuffer<float> keys_;         // [L, heads of keys, D, S]: a query times them runs along S
  AlignedBuffer<float> values_;       // [L, heads of keys, S, D]
  AlignedBuffer<float> x_, sum_;      // [chunk, C] residual stream and its successor
  AlignedBuffer<float> normed_;       // [chunk, C]
  AlignedBuffer<float> qkv_;          // [chunk, Q + 2K]
  AlignedBuffer<float> attended_;     // [chunk, Q]
  AlignedBuffer<float> hidden_;       // [chunk, F], with a gate [chunk, 2F]
  AlignedBuffer<float> activated_;    // [chunk, F]
  AlignedBuffer<float> reduced_;      // [chunk, columns of the widest u]: s x A^T of adapters
  AlignedBuffer<float> scores_;       // [S]
  AlignedBuffer<float> weights_;      // [S] exp of the scores
  AlignedBuffer<float> mean_, rstd_;  // [chunk]
  AlignedBuffer<float> zeros_;        // for a linear map without a bias
  std::vector<float> frequencies_;    // of the turns of q and k; none with learned positions
  AlignedBuffer<float> turns_;        // [chunk, D]
  AlignedBuffer<float> logits_;       // [V']
};

}  // namespace cllm
