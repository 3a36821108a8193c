// These operations compute token and position embeddings, x[r] = dropout(tokens[id] +
// places[position]), and their gradients. Models whose heads turn by their positions have no
// places.
#pragma once

#include <cstring>

#include "model/ops_rows.h"

namespace cllm {

/// Returns a row of an embedding [rows, C]; one that is kept as Bf16 is widened into `wide`.
template <class T>
const float* ShardOps<T>::row_of(std::int64_t embedding, std::int64_t row, float* wide) const {
  if (data.matrices == nullptr || cuts.layout->trains(embedding)) {
    return weight(embedding) + row * C;
  }
  kernels.widen_bf16(static_cast<std::size_t>(C), data.matrices + embedding + row * C, wide);
  return wide;
}

template <class T>
void ShardOps<T>::embed(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t tokens = cuts.layout->token_embedding();     // [V', C]
  const std::int64_t places = cuts.layout->position_embedding();  // [T, C]
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    float* const x = activations.x + r * C;
    const float* const token = row_of(tokens, data.rows.inputs[r], x);
    if (places != kAbsent) {
      kernels.add(static_cast<std::size_t>(C), token, row_of(places, position(r), scratch), x);
    } else if (token != x) {
      std::memcpy(x, token, static_cast<std::size_t>(C) * sizeof(float));
    }
  }
  drop_embedding(rows, activations.x);
  norm1(tile, 0);
}

// A tile owns a range of columns and adds the rows in order, so no two tiles write the same
// element.
template <class T>
void ShardOps<T>::embed_backward(std::int64_t tile) const {
  const std::int64_t begin = tile * cuts.embed_columns;
  const std::int64_t columns = std::min(C, begin + cuts.embed_columns) - begin;
  const float* dx = dx_below();
  const Network& network = cuts.layout->network();
  const auto clear = [&](const Embedding& embedding) {
    float* const rows = gradient(embedding.weight) + begin;
    for (std::int64_t r = 0; r < embedding.rows; ++r) {
      std::memset(rows + r * C, 0, static_cast<std::size_t>(columns) * sizeof(float));
    }
  };
  const auto add_to = [&](std::int64_t offset, std::int64_t row, const float* from) {
    float* const to = gradient(offset) + row * C + begin;
    kernels.add(static_cast<std::size_t>(columns), to, from, to);
  };
  const bool places =
      network.position_embedding && cuts.layout->trains(network.position_embedding->weight);
  if (!data.accumulate) {
    // A tied head wrote the whole token gradient; positions beyond T get no gradient.
    if (!network.tied()) clear(network.token_embedding);
    if (places) clear(*network.position_embedding);
  }
  for (std::int64_t r = 0; r < R; ++r) {
    const float* from = dx + r * C + begin;
    add_to(network.token_embedding.weight, data.rows.inputs[r], from);
    if (places) add_to(network.position_embedding->weight, position(r), from);
  }
}

}  // namespace cllm
