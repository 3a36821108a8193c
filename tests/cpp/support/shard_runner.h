// Shard programs run here on one thread, in any order of tiles, on memory that starts as NaN.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "model/shard_program.h"
#include "model_reference.h"

namespace cllm {

/// Says in which order tiles run: as listed; or of those that may run now, always the last, or any.
enum class TileOrder { kForward, kReversed, kShuffled };

inline void fill_nan(float* data, std::size_t size) {
  std::fill(data, data + size, std::numeric_limits<float>::quiet_NaN());
}

/// Holds one position: a workspace, a gradient and what a worker brings along.
class ShardRunner {
 public:
  /// `most_sequences` of `length` are the largest shard that will be run. REQUIRES: `layout`
  /// outlives the runner.
  ShardRunner(const ModelConfig& config, const ParameterLayout& layout, std::int64_t most_sequences,
              std::int64_t length, const KernelTable& kernels, Pass pass = Pass::kTraining,
              Precision precision = Precision::kFp32)
      : gradient(static_cast<std::size_t>(layout.trainables().flat_size())),
        workspace(layout, {most_sequences, length}, pass, precision),
        config_(config),
        layout_(layout),
        kernels_(kernels),
        gemm_(make_gemm(GemmBackend::kNative, kernels)),
        scratch_(ShardProgram::worker_scratch_floats(layout, {most_sequences, length}, kernels,
                                                     precision)),
        pass_(pass) {
    fill_nan(gradient.data(), gradient.size());
    fill_nan(workspace.layers.front().x,
             Workspace::floats_for(layout, {most_sequences, length}, pass, precision));
    fill_nan(scratch_.data(), scratch_.size());
  }

  /// Returns the sum of the rows' losses; the gradient is that of the sum times `scale`.
  double run(const float* parameters, const TokenBatch& batch, bool accumulate, double scale,
             TileOrder order = TileOrder::kForward) {
    const ShardProgram program(config_, layout_, {batch.sequences, batch.length}, pass_,
                               packed ? WeightLayout::kPacked : WeightLayout::kPlain, head_rows);
    double loss = std::numeric_limits<double>::quiet_NaN();
    ShardData data;
    data.parameters = parameters;
    data.gradient = gradient.data();
    data.workspace = &workspace;
    data.rows = batch.all();
    data.accumulate = accumulate;
    data.loss_scale = static_cast<float>(scale);
    data.loss = &loss;
    data.packed = packed;
    data.dropout = dropout;
    data.first_sequence = first_sequence;
    data.adapters = adapters;
    const WorkerContext worker{&kernels_, gemm_.get(), scratch_.data()};
    for (const auto& [phase, tile] : order_of(program, order)) {
      program.run(phase, tile, data, worker);
    }
    return loss;
  }

  AlignedBuffer<float> gradient;  // flat range of the trainables
  Workspace workspace;
  const PackedWeights* packed = nullptr;
  HeadRows head_rows = HeadRows::kAll;
  const float* adapters = nullptr;
  const DropoutSource* dropout = nullptr;
  std::int64_t first_sequence = 0;  // first sequence of the batch, in the step batch

 private:
  using Tile = std::pair<std::size_t, std::int32_t>;  // phase, tile

  /// Returns an order that respects what the phases wait for, and nothing else.
  static std::vector<Tile> order_of(const ShardProgram& program, TileOrder order) {
    const std::vector<Phase>& phases = program.phases();
    std::vector<std::vector<std::size_t>> opens(phases.size());
    std::vector<std::size_t> waits(phases.size());
    PhaseOrder before;
    for (std::size_t p = 0; p < phases.size(); ++p) {
      for (const std::int32_t b : before.add(phases[p].accesses)) {
        opens[static_cast<std::size_t>(b)].push_back(p);
        ++waits[p];
      }
    }
    std::vector<Tile> ready, done;
    std::vector<std::int32_t> left(phases.size());
    const auto open = [&](std::size_t p) {
      left[p] = phases[p].tiles;
      for (std::int32_t t = 0; t < phases[p].tiles; ++t) ready.emplace_back(p, t);
    };
    for (std::size_t p = 0; p < phases.size(); ++p) {
      if (waits[p] == 0) open(p);
    }
    std::mt19937 random(5);
    while (!ready.empty()) {
      auto chosen = std::min_element(ready.begin(), ready.end());
      if (order == TileOrder::kReversed) chosen = std::max_element(ready.begin(), ready.end());
      if (order == TileOrder::kShuffled) {
        chosen = ready.begin() + static_cast<std::ptrdiff_t>(random() % ready.size());
      }
      const std::size_t phase = chosen->first;
      done.push_back(*chosen);
      ready.erase(chosen);
      if (--left[phase] > 0) continue;
      for (const std::size_t next : opens[phase]) {
        if (--waits[next] == 0) open(next);
      }
    }
    std::size_t tiles = 0;
    for (const Phase& p : phases) tiles += static_cast<std::size_t>(p.tiles);
    EXPECT_EQ(done.size(), tiles) << "phases that wait for each other";
    return done;
  }

  const ModelConfig config_;
  const ParameterLayout& layout_;
  const KernelTable& kernels_;
  const std::unique_ptr<Gemm> gemm_;
  AlignedBuffer<float> scratch_;
  const Pass pass_;
};

/// Returns parameters of a trained model's size: attention is neither flat nor a single peak, and
/// norms and biases differ from 1 and 0. Frozen tensors are zero.
inline std::vector<float> lively_parameters(const ParameterLayout& layout) {
  std::vector<float> values(static_cast<std::size_t>(layout.flat_size()), 0.0f);
  std::mt19937 random(17);
  std::normal_distribution<float> normal;
  for (const TensorEntry& t : layout.tensors()) {
    if (t.frozen) continue;
    const bool matrix = t.shape.size() == 2;
    const auto is = [&t](const char* part) { return t.name.find(part) != std::string::npos; };
    const bool embedding = is("wte") || is("wpe") || is("embed_tokens");
    const bool norm = !matrix && is("weight");
    const std::size_t inputs = is("model.") || is("lm_head") ? 1 : 0;
    float deviation = 0.2f;
    if (embedding)
      deviation = 0.5f;
    else if (matrix)
      deviation = 1.0f / std::sqrt(static_cast<float>(t.shape[inputs]));
    for (std::int64_t i = 0; i < t.size; ++i) {
      values[static_cast<std::size_t>(t.offset + i)] =
          (norm ? 1.0f : 0.0f) + deviation * normal(random);
    }
  }
  return values;
}

/// Returns random tokens; a few of them come often.
inline TokenBatch random_batch(std::int64_t sequences, std::int64_t length, std::int64_t vocabulary,
                               unsigned seed = 3) {
  TokenBatch batch{sequences, length, {}, {}};
  std::mt19937 random(seed);
  const auto draw = [&] {
    const std::int64_t most =
        random() % 4 == 0 ? std::min<std::int64_t>(vocabulary, 3) : vocabulary;
    return static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(most));
  };
  for (std::int64_t r = 0; r < batch.rows(); ++r) {
    batch.inputs.push_back(draw());
    batch.targets.push_back(draw());
  }
  return batch;
}

/// Returns the batch with each sequence parted into documents, whose first targets are not counted,
/// and of some of them none.
inline TokenBatch packed(TokenBatch batch, unsigned seed = 4) {
  std::mt19937 random(seed);
  for (std::int64_t r = 0; r < batch.rows();) {
    constexpr std::int64_t kLengths[] = {1, 2, 9, 30, 70};
    const std::int64_t place = r % batch.length;
    const std::int64_t end = std::min(batch.length, place + kLengths[random() % 5]);
    const std::int64_t counted = random() % 4 == 0 ? end : place + (end - place) / 3;
    for (std::int64_t t = place; t < end; ++t, ++r) {
      batch.first_keys.push_back(static_cast<std::int32_t>(place));
      if (t < counted) batch.targets[static_cast<std::size_t>(r)] = kNotCounted;
    }
  }
  return batch;
}

}  // namespace cllm
