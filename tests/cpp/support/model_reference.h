// The model's tests compare to this: each family as Hugging Face defines it, in double with plain
// loops.
//
// A model is a chain of 2L blocks on the residual stream (attention, then the hidden layer, of each
// layer) between the embedding and the head. Each block is a pure function of its input, so that a
// finite difference of a late parameter need not run the early blocks again.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "reference_parts.h"

namespace cllm {

class ModelReference : public ReferenceParts {
 public:
  /// Copies the parameters out of a flat range; with a source, the config's dropout rates apply.
  ModelReference(const ModelConfig& config, const ParameterLayout& layout, const float* parameters,
                 TokenBatch batch, const DropoutSource* source = nullptr)
      : ReferenceParts(config, layout, parameters, std::move(batch), source) {
    streams_.push_back(embed());
    for (std::int64_t b = 0; b < 2 * L; ++b) streams_.push_back(block(b, streams_.back()));
  }

  /// Returns the mean cross-entropy of the counted targets.
  double loss() const { return head(streams_.back(), nullptr); }
  /// Returns [R, V'].
  Doubles logits() const {
    Doubles out;
    head(streams_.back(), &out);
    return out;
  }

  /// Returns the loss with one parameter moved; blocks before its reader are not run again.
  double loss_with(std::int64_t offset, double change) {
    double& parameter = parameters_[index(offset)];
    const double before = parameter;
    parameter += change;
    const std::int64_t first = first_block(offset);
    Doubles x = first < 0 ? embed() : streams_[index(first)];
    for (std::int64_t b = std::max<std::int64_t>(first, 0); b < 2 * L; ++b) x = block(b, x);
    const double moved = head(x, nullptr);
    parameter = before;
    return moved;
  }

  /// Returns the loss with all parameters moved along a direction in the flat range.
  double loss_along(const Doubles& direction, double step) const {
    ModelReference moved = *this;
    for (std::size_t i = 0; i < direction.size(); ++i) moved.parameters_[i] += step * direction[i];
    Doubles x = moved.embed();
    for (std::int64_t b = 0; b < 2 * L; ++b) x = moved.block(b, x);
    return moved.head(x, nullptr);
  }

 protected:
  Doubles embed() const {
    Doubles x(index(R * C));
    const std::int64_t places = layout_.position_embedding();
    for (std::int64_t i = 0; i < R * C; ++i) {
      const std::int64_t r = i / C, c = i % C;
      x[index(i)] = at(layout_.token_embedding())[batch_.inputs[index(r)] * C + c];
      if (places != kAbsent) x[index(i)] += at(places)[position(r) * C + c];
    }
    dropout_.drop_embedding(x);
    return x;
  }

  Doubles block(std::int64_t b, const Doubles& x) const {
    const NetworkLayer& o = layout_.layer(b / 2);
    const auto& [qkv, projection, hidden, output] = o.linears;
    Doubles y;
    if (b % 2 == 0) {
      y = make_heads(o, linear(norm(x, o.norm1, C), qkv));
      y = linear(attend(b / 2, y), projection);
    } else {
      y = linear(activate(linear(norm(x, o.norm2, C), hidden)), output);
    }
    dropout_.drop_added(b, y);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
    return y;
  }

  /// Returns the mean cross-entropy of x[R, C] by the head; keeps `logits`[R, V'] if given.
  double head(const Doubles& x, Doubles* logits) const {
    const Doubles features = norm(x, layout_.final_norm(), C);
    const Doubles words = matrix(layout_.network().head);
    double loss = 0;
    for (std::int64_t r = 0; r < R; ++r) {
      Doubles row(index(V));
      multiply_add(1, C, V, features.data() + r * C, words.data(), row.data());
      double most = -INFINITY, sum = 0;
      for (const double z : row) most = std::max(most, z);
      for (const double z : row) sum += std::exp(z - most);
      const std::int32_t target = batch_.targets[index(r)];
      if (target != kNotCounted) loss += most + std::log(sum) - row[index(target)];
      if (logits != nullptr) logits->insert(logits->end(), row.begin(), row.end());
    }
    return loss / counted_;
  }

  /// Returns the first block that reads a parameter; -1: the embedding does.
  std::int64_t first_block(std::int64_t offset) const {
    if (offset >= layout_.final_norm().weight) return 2 * L;
    for (std::int64_t l = L - 1; l >= 0; --l) {
      if (offset >= layout_.layer(l).norm2.weight) return 2 * l + 1;
      if (offset >= layout_.layer(l).norm1.weight) return 2 * l;
    }
    return -1;
  }

  std::vector<Doubles> streams_;  // [2L + 1] of [R, C]: inputs of each block and of the head
};

}  // namespace cllm
