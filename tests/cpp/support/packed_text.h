// The engine's tests draw the rows of a step here: text, and for some cases several documents in
// each sequence.
#pragma once

#include <algorithm>
#include <vector>

#include "lora_cases.h"

namespace cllm {

/// Holds the rows of one step.
struct StepText {
  std::vector<std::int32_t> inputs, targets;  // [B, T]
  std::vector<std::int32_t> first_keys;       // [B, T]; empty: each sequence is one document

  TokenRows rows() const {
    return {inputs.data(), targets.data(), first_keys.empty() ? nullptr : first_keys.data()};
  }
};

/// Draws text as TextBatches does. That of a packed case is parted into documents; of each the
/// first targets are not counted, and of some of them none.
inline void draw(const TrainingCase& c, int step, StepText& to) {
  TextBatches(c).fill(step, to.inputs, to.targets);
  if (!c.packed) return;
  to.first_keys.resize(to.inputs.size());
  const std::int64_t T = c.sequence;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    const RandomBlock block = random_block(
        12, RandomStream::kTest, static_cast<std::uint32_t>(step), static_cast<std::uint64_t>(b));
    std::uint64_t random = random_bits64(block, 0);
    for (std::int64_t begin = 0, end = 0; begin < T; begin = end, random /= 5) {
      constexpr std::int64_t kLengths[] = {1, 3, 9, 20, 70};
      end = std::min(T, begin + kLengths[random % 5]);
      const std::int64_t counted = random % 3 == 0 ? end : begin + (end - begin) / 3;
      for (std::int64_t t = begin; t < end; ++t) {
        const auto row = static_cast<std::size_t>(b * T + t);
        to.first_keys[row] = static_cast<std::int32_t>(begin);
        if (t < counted) to.targets[row] = kNotCounted;
      }
    }
  }
}

/// Returns packed cases: dropout, both precisions, adapters with dropout, shards that accumulate,
/// sequences of several blocks of queries; heads of all rows and of those that are counted.
inline std::vector<TrainingCase> packed_cases() {
  std::vector<TrainingCase> cases = {
      {"PackedDropout", 2, 3, 36, 70, 101, 13, 2, Precision::kFp32, 0.1},
      {"PackedBlocks", 1, 2, 24, 150, 101, 17, 2, Precision::kFp32, 0, Family::kLlama, 1},
      {"PackedQwen3Bf16", 2, 4, 33, 41, 101, 13, 2, Precision::kBf16, 0, Family::kQwen3, 2, 14},
      {"PackedLora", 2, 4, 40, 70, 101, 13, 3, Precision::kFp32, 0, Family::kLlama, 2},
      {"PackedLoraBf16", 2, 4, 40, 41, 101, 25, 12, Precision::kBf16, 0, Family::kQwen2, 2}};
  for (TrainingCase& c : cases) c.packed = true;
  for (const std::size_t i : {1, 2, 3}) cases[i].head_rows = HeadRows::kCounted;
  cases[3].lora = lora_of(4);
  cases[3].lora->dropout = 0.1;
  cases[4].lora = lora_of(3, {"q_proj", "v_proj", "down_proj"});
  return cases;
}

}  // namespace cllm
