// Attention with dropout of every ISA against double precision with the same elements dropped.
#include <gtest/gtest.h>

#include <string>

#include "attention_head.h"
#include "dropout_reference.h"

namespace cllm {
namespace {

void drop(AttentionProblem& problem, double rate, std::uint32_t head = 2) {
  Dropout& d = problem.dropout;
  d.key = 0x9876543210fedcbau + problem.length;
  d.place = 5;
  d.head = head;
  d.threshold = static_cast<std::uint32_t>(rate * 65536);
  d.scale = static_cast<float>(65536.0 / (65536.0 - d.threshold));
  problem.factors.clear();
  for (std::size_t i = 0; i < problem.length; ++i) {
    for (std::size_t j = 0; j < problem.length; ++j) {
      problem.factors.push_back(
          reference_factor(d, static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)));
    }
  }
}

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class AttentionDropout : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << GetParam() << " does not run here";
  }
  const KernelTable* table_ = nullptr;
};

/// Where a row loses every weight there is nothing to compare but zeros.
void expect_near(const char* what, const Floats& seen, const Doubles& wanted, const Doubles& size,
                 const AttentionAnswer& answer, const AttentionProblem& problem) {
  double worst = 0;
  for (std::size_t x = 0; x < seen.size(); ++x) {
    const double error = std::fabs(static_cast<double>(seen[x]) - wanted[x]);
    const double share = error / attention_tolerance(answer, problem, size[x]);
    if (!(share <= worst) && !std::isnan(worst)) worst = share;  // a NaN stays
  }
  EXPECT_LE(worst, 1.0) << what;
}

TEST_P(AttentionDropout, IsWhatDoublePrecisionSays) {
  for (const double rate : {0.1, 0.6}) {
    for (const std::size_t length : {1, 2, 7, 63, 64, 65, 130, 200}) {
      for (const std::size_t width : {1, 12, 32, 33, 64}) {
        SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
        AttentionProblem problem = make_problem<float>(length, width);
        drop(problem, rate);
        const AttentionAnswer answer = reference_attention(problem);
        Head<float> head(problem);
        head.run(*table_);
        expect_near("out", head.out(), answer.out, answer.out_size, answer, problem);
        expect_near("dq", head.dq(), answer.dq, answer.dq_size, answer, problem);
        expect_near("dk", head.dk(), answer.dk, answer.dk_size, answer, problem);
        expect_near("dv", head.dv(), answer.dv, answer.dv_size, answer, problem);
        EXPECT_EQ(head.spilled(), 0u);
      }
    }
  }
}

TEST_P(AttentionDropout, OfBf16IsNear) {
  for (const std::size_t length : {64, 65, 130}) {
    for (const std::size_t width : {12, 15, 64}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      AttentionProblem problem = make_problem<Bf16>(length, width);
      drop(problem, 0.2);
      const AttentionAnswer answer = reference_attention(problem);
      Head<Bf16> head(problem);
      head.run(*table_);
      const auto expect_close = [&](const char* what, const Floats& seen, const Doubles& wanted) {
        double most = 0, worst = 0;
        for (std::size_t x = 0; x < seen.size(); ++x) {
          most = std::max(most, std::fabs(wanted[x]));
          const double error = std::fabs(static_cast<double>(seen[x]) - wanted[x]);
          if (!(error <= worst) && !std::isnan(worst)) worst = error;
        }
        EXPECT_LE(worst, 2e-2 * most) << what;
      };
      expect_close("out", head.out(), answer.out);
      expect_close("dq", head.dq(), answer.dq);
      expect_close("dk", head.dk(), answer.dk);
      expect_close("dv", head.dv(), answer.dv);
      EXPECT_EQ(head.spilled(), 0u);
    }
  }
}

TEST_P(AttentionDropout, GradientsAreFiniteDifferences) {
  AttentionProblem problem = make_problem<float>(70, 12);
  drop(problem, 0.3);
  const AttentionAnswer answer = reference_attention(problem);
  Head<float> head(problem);
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
    for (std::size_t x = 0; x < 70 * 12; x += 23) {
      constexpr double kStep = 1e-4;
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

TEST_P(AttentionDropout, RowsDoNotDependOnTheCut) {
  AttentionProblem problem = make_problem<float>(200, 20);
  drop(problem, 0.2);
  Head<float> whole(problem), blocks(problem);
  table_->attention_forward(whole.arguments(*table_));
  for (const std::int64_t begin : {128, 0, 64, 192}) {
    AttentionArgs<float> args = blocks.arguments(*table_);
    args.row_begin = begin;
    args.row_end = std::min<std::int64_t>(begin + 64, 200);
    table_->attention_forward(args);
  }
  EXPECT_TRUE(same_bits(blocks.out(), whole.out()));
}

TEST_P(AttentionDropout, OfNothingIsNoDropout) {
  AttentionProblem problem = make_problem<float>(130, 20);
  Head<float> plain(problem);
  plain.run(*table_);
  drop(problem, 0.0);
  Head<float> none(problem);
  none.run(*table_);
  EXPECT_TRUE(same_bits(none.out(), plain.out()));
  EXPECT_TRUE(same_bits(none.dq(), plain.dq()));
  EXPECT_TRUE(same_bits(none.dv(), plain.dv()));
  drop(problem, 0.1);
  Head<float> some(problem);
  some.run(*table_);
  EXPECT_FALSE(same_bits(some.out(), plain.out()));
  EXPECT_TRUE(same_bits(some.lse(), plain.lse())) << "softmax knows nothing of it";
  drop(problem, 0.1, 3);
  Head<float> other(problem);
  other.run(*table_);
  EXPECT_FALSE(same_bits(other.out(), some.out())) << "another head drops others";
}

INSTANTIATE_TEST_SUITE_P(Isa, AttentionDropout,
                         testing::Values("scalar", "avx2", "avx512", "avx512bf16"),
                         [](const auto& isa) { return std::string(isa.param); });

}  // namespace
}  // namespace cllm
