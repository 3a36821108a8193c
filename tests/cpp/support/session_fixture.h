// The engine's tests train these cases on real text: small models, awkward shapes.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/sha256.h"
#include "engine/session.h"
#include "model/adapters.h"
#include "model/initialize.h"

namespace cllm {

struct TrainingCase {
  std::string name;
  std::int64_t layers, heads, width, sequence, vocabulary, batch, positions;
  Precision precision = Precision::kFp32;
  double dropout = 0;
  Family family = Family::kGpt2;
  std::int64_t kv_heads = 0, head_width = 0;  ///< as ModelConfig has them
  bool lattice = false;
  int symmetry_order = 12;
  std::optional<LoraConfig> lora = std::nullopt;  ///< adapters are trained, beside frozen weights
  bool packed = false;                            ///< for packed_text.h
  HeadRows head_rows = HeadRows::kAll;            ///< for that, too
  Precision base = Precision::kFp32;              ///< what frozen matrices are kept as
};

/// Returns cases with remainders everywhere; one position; twelve; bf16, with pairs that have no
/// second number; rows wider than a tile and shards that accumulate; heads that share keys, which
/// turn, and a gate; heads with norms that are wider than the model; dropout; coupled tokens on
/// rings of five, the last of them short, and before a head of its own.
inline std::vector<TrainingCase> training_cases() {
  return {
      {"Remainders", 2, 5, 60, 48, 101, 13, 3},
      {"OnePosition", 2, 4, 32, 40, 101, 12, 1},
      {"TwelvePositions", 2, 2, 24, 16, 101, 25, 12},
      {"OddBf16", 2, 3, 33, 41, 101, 13, 3, Precision::kBf16},
      {"WideAccumulating", 1, 2, 136, 64, 101, 35, 2},
      {"Llama", 2, 5, 60, 48, 101, 13, 3, Precision::kFp32, 0, Family::kLlama, 1},
      {"Qwen3Bf16", 2, 4, 33, 41, 101, 13, 2, Precision::kBf16, 0, Family::kQwen3, 2, 14},
      {"Dropout", 2, 3, 36, 70, 101, 31, 2, Precision::kFp32, 0.1},
      {"Lattice", 2, 3, 36, 30, 103, 13, 3, Precision::kFp32, 0, Family::kGpt2, 0, 0, true, 5},
      {"UntiedLattice", 1, 2, 24, 20, 61, 9, 2, Precision::kBf16, 0, Family::kLlama, 1, 0, true}};
}

inline SessionConfig session_config(const TrainingCase& c, std::int64_t threads) {
  SessionConfig config;
  config.model = {c.layers, c.heads, c.width, c.sequence, c.vocabulary};
  config.model.dropout = {c.dropout, c.dropout, c.dropout};
  config.model.family = c.family;
  config.model.kv_heads = c.kv_heads;
  config.model.head_dim = c.head_width;
  config.model.tied_head = c.family != Family::kLlama;
  if (c.family != Family::kGpt2) config.model.hidden_dim = 2 * c.width + 5;
  config.model.symmetry_order = c.symmetry_order;
  config.lattice = c.lattice;
  config.lora = c.lora;
  config.head_rows = c.head_rows;
  config.base = c.base;
  config.adamw.lattice_rate = 3;
  config.seed = 9;
  config.batch = c.batch;
  config.sequence = c.sequence;
  config.positions = c.positions;
  config.threads = threads;
  config.schedule = {ScheduleKind::kCosine, 3e-3, 3e-4, 2, 30};
  if (c.lora) config.schedule.peak = 3e-2;  // adapters start without effect
  config.precision = c.precision;
  config.pack_always = true;  // small steps would not; the oracle never does
  config.tree.cores = 2;
  config.tree.activate_all = true;
  return config;
}

/// Returns English prose (a paragraph of this project's licence) as tokens: real text that every
/// checkout has. Bytes are folded below the vocabulary.
inline const std::string& english() {
  static const std::string text = [] {
    std::string all;
    const std::string license = std::string(CLLM_SOURCE_DIR) + "/LICENSE";
    if (std::FILE* file = std::fopen(license.c_str(), "rb")) {
      char buffer[4096];
      std::size_t n;
      while ((n = std::fread(buffer, 1, sizeof buffer, file)) > 0) all.append(buffer, n);
      std::fclose(file);
    }
    return all;
  }();
  return text;
}

/// Draws step batches from that text, as a pure function of the step.
class TextBatches {
 public:
  explicit TextBatches(const TrainingCase& c) : case_(c) {}

  void fill(int step, std::vector<std::int32_t>& inputs, std::vector<std::int32_t>& targets) const {
    const std::int64_t T = case_.sequence;
    inputs.resize(static_cast<std::size_t>(case_.batch * T));
    targets.resize(inputs.size());
    const std::string& text = english();
    for (std::int64_t b = 0; b < case_.batch; ++b) {
      const auto block = random_block(11, RandomStream::kTest, static_cast<std::uint32_t>(step),
                                      static_cast<std::uint64_t>(b));
      const auto start = static_cast<std::int64_t>(
          uniform_below(random_bits64(block, 0), text.size() - static_cast<std::size_t>(T) - 1));
      for (std::int64_t t = 0; t < T; ++t) {
        const auto at = static_cast<std::size_t>(start + t);
        const auto row = static_cast<std::size_t>(b * T + t);
        inputs[row] = token(text[at]);
        targets[row] = token(text[at + 1]);
      }
    }
  }

 private:
  std::int32_t token(char c) const {
    return static_cast<std::int32_t>(static_cast<unsigned char>(c) % case_.vocabulary);
  }

  TrainingCase case_;
};

/// Fills a new state with weights.
inline void start_weights(ModelState& state, std::uint64_t seed = 7) {
  initialize(state.config, state.layout, seed, state.parameters.data());
  state.start_lattice();
  if (state.layout.adapted()) initialize_adapters(state.layout, seed, state.adapters.data());
  state.keep_all();
}

/// Returns what training has changed: the trainables, with E of a coupled model.
inline std::vector<float> trained_weights(const ModelState& state) {
  const AlignedBuffer<float>& values = state.trainables();
  std::vector<float> all(values.data(), values.data() + values.size());
  if (state.lattice) {
    std::copy_n(state.lattice->embedding().data(), state.lattice->embedding().size(),
                all.begin() + state.lattice->offset());
  }
  return all;
}

inline std::string weights_digest(const ModelState& state) {
  const std::vector<float> all = trained_weights(state);
  return hex(sha256(
      std::string_view(reinterpret_cast<const char*>(all.data()), all.size() * sizeof(float))));
}

}  // namespace cllm
