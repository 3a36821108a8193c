// These operations compute token and position embeddings, x[r] = dropout(tokens[id] + places[r mod
// T]), and their gradients.
#pragma once

#include <cstring>

#include "model/shard_ops.h"

namespace cllm {

template <class T>
void ShardOps<T>::embed(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const float* tokens = parameter(cuts.layout->token_embedding());        // [V', C]
  const float* positions = parameter(cuts.layout->position_embedding());  // [T, C]
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    kernels.add(static_cast<std::size_t>(C), tokens + data.inputs[r] * C,
                positions + r % cuts.shape.length * C, activations.x + r * C);
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
  float* tokens = gradient(cuts.layout->token_embedding());
  float* positions = gradient(cuts.layout->position_embedding());
  if (!data.accumulate) {
    // The head wrote the whole token gradient; positions beyond T get no gradient.
    for (std::int64_t t = 0; t < cuts.config.context; ++t) {
      std::memset(positions + t * C + begin, 0, static_cast<std::size_t>(columns) * sizeof(float));
    }
  }
  for (std::int64_t r = 0; r < R; ++r) {
    const float* from = dx + r * C + begin;
    float* token = tokens + data.inputs[r] * C + begin;
    float* position = positions + r % cuts.shape.length * C + begin;
    kernels.add(static_cast<std::size_t>(columns), token, from, token);
    kernels.add(static_cast<std::size_t>(columns), position, from, position);
  }
}

}  // namespace cllm
