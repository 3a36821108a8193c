// Attention kernels of every ISA against double precision, finite differences, and themselves.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "attention_reference.h"
#include "cpu/kernel_table.h"

namespace cllm {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kCanary = -12345.678f;
constexpr std::size_t kEdge = 32;  ///< canaries before and after every output

using Floats = std::vector<float>;

std::uint32_t bits(float x) {
  std::uint32_t b;
  std::memcpy(&b, &x, sizeof b);
  return b;
}

/// Normal numbers that are exact in single precision, so that reference and kernel see the same.
AttentionProblem make_problem(std::size_t length, std::size_t width, double score_scale = 1.0) {
  AttentionProblem problem{length, width, {}, {}, {}, {}};
  std::mt19937_64 random(length * 1000 + width);
  std::normal_distribution<float> normal;
  const float factor = static_cast<float>(std::sqrt(score_scale));
  for (Doubles* matrix : {&problem.q, &problem.k, &problem.v, &problem.dout}) {
    const float scale = matrix == &problem.q || matrix == &problem.k ? factor : 1.0f;
    for (std::size_t x = 0; x < length * width; ++x) {
      const float value = normal(random) * scale;
      matrix->push_back(static_cast<double>(value));
    }
  }
  return problem;
}

/// A matrix [T, D] with rows `ld` apart somewhere in a buffer whose other floats must not change.
struct Slice {
  std::size_t offset, ld;
};

/// One head as a kernel sees it. Rows are further apart than they are wide, what lies between is
/// NaN in inputs and a canary in outputs, and so is what lies around.
class Head {
 public:
  explicit Head(const AttentionProblem& problem)
      : length_(problem.length),
        width_(problem.width),
        q_{0, 3 * width_ + 7},
        k_{width_ + 2, q_.ld},
        v_{2 * width_ + 3, q_.ld},
        dout_{0, width_ + 5},
        out_{kEdge, dout_.ld},
        dq_{kEdge, 3 * width_ + 11},
        dk_{dq_.offset + width_ + 3, dq_.ld},
        dv_{dk_.offset + width_ + 4, dq_.ld},
        qkv_values_(length_ * q_.ld, kNaN),
        dout_values_(length_ * dout_.ld, kNaN),
        out_values_(2 * kEdge + length_ * out_.ld, kCanary),
        lse_values_(2 * kEdge + length_, kCanary),
        dqkv_values_(2 * kEdge + length_ * dq_.ld, kCanary) {
    write(problem.q, q_, qkv_values_);
    write(problem.k, k_, qkv_values_);
    write(problem.v, v_, qkv_values_);
    write(problem.dout, dout_, dout_values_);
  }

  /// The arguments, with a scratch of exactly the size asked for, `shift` floats off alignment.
  AttentionArgs arguments(const KernelTable& table, float scratch_fill = kNaN,
                          std::size_t shift = 0) {
    const auto length = static_cast<std::int64_t>(length_);
    const auto width = static_cast<std::int64_t>(width_);
    const std::size_t needed = table.attention_scratch_floats(length, width);
    scratch_.assign(shift + needed + kEdge, scratch_fill);
    scratch_end_ = shift + needed;
    std::fill(scratch_.begin() + static_cast<std::ptrdiff_t>(scratch_end_), scratch_.end(),
              kCanary);
    AttentionArgs args{};
    args.length = length;
    args.head_width = width;
    args.q = &qkv_values_[q_.offset];
    args.k = &qkv_values_[k_.offset];
    args.v = &qkv_values_[v_.offset];
    args.ld_qkv = static_cast<std::int64_t>(q_.ld);
    args.out = &out_values_[out_.offset];
    args.ld_out = static_cast<std::int64_t>(out_.ld);
    args.lse = &lse_values_[kEdge];
    args.scratch = &scratch_[shift];
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
    const AttentionArgs args = arguments(table);
    table.attention_forward(args);
    table.attention_backward(args);
  }

  Floats out() const { return read(out_, out_values_); }
  Floats dq() const { return read(dq_, dqkv_values_); }
  Floats dk() const { return read(dk_, dqkv_values_); }
  Floats dv() const { return read(dv_, dqkv_values_); }
  Floats lse() const {
    return {lse_values_.begin() + kEdge, lse_values_.end() - static_cast<std::ptrdiff_t>(kEdge)};
  }

  /// Floats changed outside the rows of out, lse, dq, dk, dv and the scratch.
  std::size_t spilled() const {
    std::size_t count = 0;
    Floats out = out_values_, dqkv = dqkv_values_, lse = lse_values_;
    erase(out_, out);
    for (const Slice& slice : {dq_, dk_, dv_}) erase(slice, dqkv);
    for (std::size_t t = 0; t < length_; ++t) lse[kEdge + t] = kCanary;
    for (const Floats* values : {&out, &dqkv, &lse}) {
      for (const float x : *values) count += bits(x) != bits(kCanary);
    }
    for (std::size_t x = scratch_end_; x < scratch_.size(); ++x) {
      count += bits(scratch_[x]) != bits(kCanary);
    }
    return count;
  }

 private:
  void write(const Doubles& from, Slice slice, Floats& to) const {
    for (std::size_t x = 0; x < from.size(); ++x) {
      to[slice.offset + x / width_ * slice.ld + x % width_] = static_cast<float>(from[x]);
    }
  }
  Floats read(Slice slice, const Floats& from) const {
    Floats to(length_ * width_);
    for (std::size_t x = 0; x < to.size(); ++x) {
      to[x] = from[slice.offset + x / width_ * slice.ld + x % width_];
    }
    return to;
  }
  void erase(Slice slice, Floats& in) const {
    for (std::size_t x = 0; x < length_ * width_; ++x) {
      in[slice.offset + x / width_ * slice.ld + x % width_] = kCanary;
    }
  }

  std::size_t length_, width_;
  Slice q_, k_, v_, dout_, out_, dq_, dk_, dv_;
  Floats qkv_values_, dout_values_, out_values_, lse_values_, dqkv_values_, scratch_;
  std::size_t scratch_end_ = 0;
};

void expect_near(const char* what, const Floats& seen, const Doubles& wanted, const Doubles& size,
                 const AttentionAnswer& answer, const AttentionProblem& problem) {
  std::size_t wrong = 0;
  for (std::size_t x = 0; x < seen.size(); ++x) {
    const double error = std::fabs(static_cast<double>(seen[x]) - wanted[x]);
    if (error <= attention_tolerance(answer, problem, size[x])) continue;  // false for NaN
    if (wrong++ == 0) {
      ADD_FAILURE() << what << "[" << x / problem.width << ", " << x % problem.width << "] is "
                    << seen[x] << ", wanted " << wanted[x] << " +- "
                    << attention_tolerance(answer, problem, size[x]);
    }
  }
  EXPECT_EQ(wrong, 0u) << what;
}

void expect_answer(const Head& head, const AttentionAnswer& answer,
                   const AttentionProblem& problem) {
  expect_near("out", head.out(), answer.out, answer.out_size, answer, problem);
  expect_near("dq", head.dq(), answer.dq, answer.dq_size, answer, problem);
  expect_near("dk", head.dk(), answer.dk, answer.dk_size, answer, problem);
  expect_near("dv", head.dv(), answer.dv, answer.dv_size, answer, problem);
  const Floats lse = head.lse();
  for (std::size_t t = 0; t < lse.size(); ++t) {
    EXPECT_NEAR(static_cast<double>(lse[t]), answer.lse[t], answer.weight_error) << "row " << t;
  }
  EXPECT_EQ(head.spilled(), 0u);
}

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Attention : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << GetParam() << " does not run here";
    ASSERT_STREQ(table_->name, GetParam());
  }
  const KernelTable* table_ = nullptr;
};

TEST_P(Attention, IsWhatDoublePrecisionSays) {
  for (const std::size_t length : {1, 2, 7, 48, 63, 64, 65, 100, 130, 256}) {
    for (const std::size_t width : {1, 12, 16, 20, 32, 33, 60, 64, 80}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      const AttentionProblem problem = make_problem(length, width);
      Head head(problem);
      head.run(*table_);
      expect_answer(head, reference_attention(problem), problem);
    }
  }
}

TEST_P(Attention, GradientsAreFiniteDifferences) {
  const std::size_t shapes[][2] = {{1, 5}, {2, 12}, {7, 20}, {65, 12}, {70, 33}};
  for (const auto& [length, width] : shapes) {
    SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
    AttentionProblem problem = make_problem(length, width);
    const AttentionAnswer answer = reference_attention(problem);
    Head head(problem);
    head.run(*table_);
    struct Side {
      const char* name;
      Doubles& input;
      Floats gradient;
      const Doubles& size;
    };
    const Side sides[] = {{"dq", problem.q, head.dq(), answer.dq_size},
                          {"dk", problem.k, head.dk(), answer.dk_size},
                          {"dv", problem.v, head.dv(), answer.dv_size}};
    for (const Side& side : sides) {
      const std::size_t stride = std::max<std::size_t>(1, length * width / 37);
      for (std::size_t x = 0; x < length * width; x += stride) {
        constexpr double kStep = 1e-4;  // truncation and rounding both stay below 1e-7 of the terms
        const double value = side.input[x];
        side.input[x] = value + kStep;
        const double above = reference_loss(problem);
        side.input[x] = value - kStep;
        const double below = reference_loss(problem);
        side.input[x] = value;
        EXPECT_NEAR(static_cast<double>(side.gradient[x]), (above - below) / (2 * kStep),
                    attention_tolerance(answer, problem, side.size[x]) + 1e-7)
            << side.name << " element " << x;
      }
    }
  }
}

TEST_P(Attention, LargeScoresStayFiniteAndRight) {
  for (const std::size_t length : {7, 64, 130}) {
    for (const std::size_t width : {12, 64}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      const AttentionProblem problem = make_problem(length, width, 300.0);
      const AttentionAnswer answer = reference_attention(problem);
      ASSERT_GT(*std::max_element(answer.lse.begin(), answer.lse.end()), 300.0);
      Head head(problem);
      head.run(*table_);
      expect_answer(head, answer, problem);
    }
  }
}

TEST_P(Attention, RowsDoNotDependOnTheCut) {
  for (const std::size_t length : {65, 130, 256, 300}) {
    SCOPED_TRACE("T " + std::to_string(length));
    const AttentionProblem problem = make_problem(length, 20);
    Head whole(problem);
    table_->attention_forward(whole.arguments(*table_));

    Head blocks(problem);  // last block first, each with a fresh scratch
    const auto rows = static_cast<std::int64_t>(length);
    for (std::int64_t begin = (rows - 1) / 64 * 64; begin >= 0; begin -= 64) {
      AttentionArgs args = blocks.arguments(*table_);
      args.row_begin = begin;
      args.row_end = std::min(begin + 64, rows);
      const Floats out_before = blocks.out(), lse_before = blocks.lse();
      table_->attention_forward(args);
      const Floats out = blocks.out(), lse = blocks.lse();
      for (std::size_t t = 0; t < length; ++t) {  // only the rows asked for change
        const auto row = static_cast<std::int64_t>(t);
        if (row >= args.row_begin && row < args.row_end) continue;
        EXPECT_EQ(bits(lse[t]), bits(lse_before[t])) << "row " << t;
        EXPECT_EQ(bits(out[t * 20]), bits(out_before[t * 20])) << "row " << t;
      }
    }
    EXPECT_TRUE(same_bits(blocks.out(), whole.out()));
    EXPECT_TRUE(same_bits(blocks.lse(), whole.lse()));

    Head odd(problem);  // an end in the middle of a block, and of a group of rows
    AttentionArgs args = odd.arguments(*table_);
    args.row_end = 65;
    table_->attention_forward(args);
    args = odd.arguments(*table_);
    args.row_begin = 64;
    table_->attention_forward(args);
    EXPECT_TRUE(same_bits(odd.out(), whole.out()));
    EXPECT_TRUE(same_bits(odd.lse(), whole.lse()));
  }
}

TEST_P(Attention, ScratchAndAlignmentDoNotShow) {
  const AttentionProblem problem = make_problem(130, 33);
  Head first(problem);
  first.run(*table_);
  for (const float fill : {0.0f, 1e30f, -std::numeric_limits<float>::infinity()}) {
    Head other(problem);
    const AttentionArgs args = other.arguments(*table_, fill, fill > 0.0f ? 3 : 1);
    table_->attention_forward(args);
    table_->attention_backward(args);
    EXPECT_TRUE(same_bits(other.out(), first.out())) << fill;
    EXPECT_TRUE(same_bits(other.lse(), first.lse())) << fill;
    EXPECT_TRUE(same_bits(other.dq(), first.dq())) << fill;
    EXPECT_TRUE(same_bits(other.dk(), first.dk())) << fill;
    EXPECT_TRUE(same_bits(other.dv(), first.dv())) << fill;
    EXPECT_EQ(other.spilled(), 0u);
  }
}

TEST_P(Attention, TheFutureHasNoWeight) {
  constexpr std::size_t kLength = 150, kWidth = 20;
  for (const std::size_t now : {0, 5, 63, 64, 100}) {
    SCOPED_TRACE("row " + std::to_string(now));
    AttentionProblem problem = make_problem(kLength, kWidth);
    Head plain(problem);
    plain.run(*table_);
    for (std::size_t x = (now + 1) * kWidth; x < kLength * kWidth; ++x) {
      problem.k[x] = problem.k[x] * 1e3 + 1e4;  // would win every softmax
      problem.v[x] = 1e15;
      problem.dout[x] = 0.0;
    }
    Head changed(problem);
    changed.run(*table_);
    Floats before = plain.out(), after = changed.out();
    before.resize((now + 1) * kWidth);
    after.resize((now + 1) * kWidth);
    EXPECT_TRUE(same_bits(before, after));
    for (const Floats& gradient : {changed.dk(), changed.dv()}) {
      for (std::size_t x = (now + 1) * kWidth; x < gradient.size(); ++x) {
        ASSERT_EQ(gradient[x], 0.0f) << "element " << x;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Attention, testing::Values("scalar", "avx2", "avx512", "avx512bf16"),
                         [](const auto& isa) { return std::string(isa.param); });

}  // namespace
}  // namespace cllm
