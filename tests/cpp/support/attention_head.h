// These are heads as an attention kernel sees them, for both types of storage: inputs of exact
// numbers, and canaries around everything that is written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "attention_reference.h"
#include "cpu/features.h"

namespace cllm {

constexpr float kAttentionNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kAttentionCanary = -12345.678f;
constexpr std::size_t kEdge = 32;  ///< canaries before and after every output

using Floats = std::vector<float>;

inline void convert(float x, float& to) { to = x; }
inline void convert(float x, Bf16& to) { to = to_bf16(x); }
inline float as_float(float x) { return x; }
inline float as_float(Bf16 x) { return to_float(x); }

inline std::uint32_t bits(float x) {
  std::uint32_t b;
  std::memcpy(&b, &x, sizeof b);
  return b;
}

/// Makes normal numbers that are exact in T, so that reference and kernel see the same.
template <class T>
AttentionProblem make_problem(std::size_t length, std::size_t width, double score_scale = 1.0) {
  AttentionProblem problem{length, width, {}, {}, {}, {}};
  std::mt19937_64 random(length * 1000 + width);
  std::normal_distribution<float> normal;
  const float factor = static_cast<float>(std::sqrt(score_scale));
  for (Doubles* matrix : {&problem.q, &problem.k, &problem.v, &problem.dout}) {
    const float scale = matrix == &problem.q || matrix == &problem.k ? factor : 1.0f;
    for (std::size_t x = 0; x < length * width; ++x) {
      T value;
      convert(normal(random) * scale, value);
      matrix->push_back(static_cast<double>(as_float(value)));
    }
  }
  return problem;
}

/// Describes a matrix [T, D] with rows `ld` apart, inside a buffer whose other numbers must not
/// change.
struct Slice {
  std::size_t offset, ld;
};

/// Holds one head as a kernel sees it. Rows are further apart than they are wide. The numbers
/// between and around them are NaN in inputs and a canary in outputs.
template <class T>
class Head {
 public:
  explicit Head(const AttentionProblem& problem)
      : length_(problem.length),
        width_(problem.width),
        q_{0, 3 * width_ + 7},
        k_{width_ + 2, q_.ld},
        v_{2 * width_ + 3, q_.ld},
        dropout_(problem.dropout),
        first_keys_(problem.first_keys),
        dout_{0, width_ + 5},
        out_{kEdge, dout_.ld},
        dq_{kEdge, 3 * width_ + 11},
        dk_{dq_.offset + width_ + 3, dq_.ld},
        dv_{dk_.offset + width_ + 4, dq_.ld},
        qkv_values_(length_ * q_.ld, exactly(kAttentionNaN)),
        dout_values_(length_ * dout_.ld, exactly(kAttentionNaN)),
        out_values_(2 * kEdge + length_ * out_.ld, exactly(kAttentionCanary)),
        dqkv_values_(2 * kEdge + length_ * dq_.ld, exactly(kAttentionCanary)),
        lse_values_(2 * kEdge + length_, kAttentionCanary) {
    write(problem.q, q_, qkv_values_);
    write(problem.k, k_, qkv_values_);
    write(problem.v, v_, qkv_values_);
    write(problem.dout, dout_, dout_values_);
  }

  /// Returns the arguments, with a scratch of exactly the size asked for, `shift` floats off
  /// alignment.
  AttentionArgs<T> arguments(const KernelTable& table, float scratch_fill = kAttentionNaN,
                             std::size_t shift = 0) {
    const auto length = static_cast<std::int64_t>(length_);
    const auto width = static_cast<std::int64_t>(width_);
    const std::size_t needed =
        activation_kernels<T>(table).attention_scratch_floats(length, width, 1);
    scratch_.assign(shift + needed + kEdge, scratch_fill);
    scratch_end_ = shift + needed;
    std::fill(scratch_.begin() + static_cast<std::ptrdiff_t>(scratch_end_), scratch_.end(),
              kAttentionCanary);
    AttentionArgs<T> args{};
    args.length = length;
    args.head_width = width;
    args.group = 1;
    args.scale = 1.0f / std::sqrt(static_cast<float>(width));
    args.q = &qkv_values_[q_.offset];
    args.k = &qkv_values_[k_.offset];
    args.v = &qkv_values_[v_.offset];
    args.ld_qkv = static_cast<std::int64_t>(q_.ld);
    args.out = &out_values_[out_.offset];
    args.ld_out = static_cast<std::int64_t>(out_.ld);
    args.lse = &lse_values_[kEdge];
    args.scratch = &scratch_[shift];
    args.dropout = dropout_;
    args.first_keys = first_keys_.empty() ? nullptr : first_keys_.data();
    args.row_begin = 0;
    args.row_end = length;
    args.dout = &dout_values_[dout_.offset];
    args.dq = &dqkv_values_[dq_.offset];
    args.dk = &dqkv_values_[dk_.offset];
    args.dv = &dqkv_values_[dv_.offset];
    args.ld_dqkv = static_cast<std::int64_t>(dq_.ld);
    return args;
  }

  void run(const KernelTable& table) {
    const AttentionArgs<T> args = arguments(table);
    activation_kernels<T>(table).attention_forward(args);
    activation_kernels<T>(table).attention_backward(args);
  }

  Floats out() const { return read(out_, out_values_); }
  Floats dq() const { return read(dq_, dqkv_values_); }
  Floats dk() const { return read(dk_, dqkv_values_); }
  Floats dv() const { return read(dv_, dqkv_values_); }
  Floats lse() const {
    return {lse_values_.begin() + kEdge, lse_values_.end() - static_cast<std::ptrdiff_t>(kEdge)};
  }

  /// Counts floats that changed outside the rows of out, lse, dq, dk, dv and the scratch.
  std::size_t spilled() const {
    std::size_t count = 0;
    std::vector<T> out = out_values_, dqkv = dqkv_values_;
    Floats lse = lse_values_;
    erase(out_, out);
    for (const Slice& slice : {dq_, dk_, dv_}) erase(slice, dqkv);
    for (std::size_t t = 0; t < length_; ++t) lse[kEdge + t] = kAttentionCanary;
    for (const std::vector<T>* values : {&out, &dqkv}) {
      for (const T x : *values)
        count += bits(as_float(x)) != bits(as_float(exactly(kAttentionCanary)));
    }
    for (const float x : lse) count += bits(x) != bits(kAttentionCanary);
    for (std::size_t x = scratch_end_; x < scratch_.size(); ++x) {
      count += bits(scratch_[x]) != bits(kAttentionCanary);
    }
    return count;
  }

 private:
  static T exactly(float x) {
    T value;
    convert(x, value);
    return value;
  }
  void write(const Doubles& from, Slice slice, std::vector<T>& to) const {
    for (std::size_t x = 0; x < from.size(); ++x) {
      to[slice.offset + x / width_ * slice.ld + x % width_] = exactly(static_cast<float>(from[x]));
    }
  }
  Floats read(Slice slice, const std::vector<T>& from) const {
    Floats to(length_ * width_);
    for (std::size_t x = 0; x < to.size(); ++x) {
      to[x] = as_float(from[slice.offset + x / width_ * slice.ld + x % width_]);
    }
    return to;
  }
  void erase(Slice slice, std::vector<T>& in) const {
    for (std::size_t x = 0; x < length_ * width_; ++x) {
      in[slice.offset + x / width_ * slice.ld + x % width_] = exactly(kAttentionCanary);
    }
  }

  std::size_t length_, width_;
  Slice q_, k_, v_;
  Dropout dropout_;
  std::vector<std::int32_t> first_keys_;
  Slice dout_, out_, dq_, dk_, dv_;
  std::vector<T> qkv_values_, dout_values_, out_values_, dqkv_values_;
  Floats lse_values_, scratch_;
  std::size_t scratch_end_ = 0;
};

}  // namespace cllm
