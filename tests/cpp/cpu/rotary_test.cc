// The turns of heads in every ISA are compared with a reference in double.
#include "family_reference.h"
#include "gapped_matrix.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 3;

/// Angles of kRows rows, and the table of their cosines and sines in float.
struct Turns {
  Turns(std::int64_t head_width, int placement) : table(kRows * head_width, placement) {
    GuardedFloats random(kRows * head_width / 2, 0);
    fill(random, 11, 3.14f);
    const std::int64_t half = head_width / 2;
    for (std::int64_t r = 0; r < kRows; ++r) {
      angles.emplace_back();
      for (std::int64_t j = 0; j < half; ++j) {
        const double angle = random[r * half + j];
        angles.back().push_back(angle);
        table[r * head_width + j] = static_cast<float>(std::cos(angle));
        table[r * head_width + half + j] = static_cast<float>(std::sin(angle));
      }
    }
  }
  /// Returns the heads of row r, turned in double: forward, or back.
  std::vector<double> turned(std::size_t r, std::vector<double> row, bool back = false) const {
    std::vector<double> by = angles[r];
    for (double& angle : by) angle = back ? -angle : angle;
    for (std::size_t at = 0; at < row.size(); at += 2 * by.size()) turn_head(by, &row[at]);
    return row;
  }
  std::vector<std::vector<double>> angles;
  GuardedFloats table;
};

std::vector<double> row_of(GappedMatrix& m, std::int64_t r) {
  std::vector<double> row;
  for (std::int64_t i = 0; i < m.columns; ++i) row.push_back(double{m.at(r, i)});
  return row;
}

/// Checks a row against what it should be. Each number comes from two of size `most` at most.
void expect_row(GappedMatrix& seen, std::int64_t r, const std::vector<double>& want, double most) {
  for (std::int64_t i = 0; i < seen.columns; ++i) {
    ASSERT_NEAR(seen.at(r, i), want[static_cast<std::size_t>(i)], 4 * kEpsilon * most)
        << "row " << r << ", column " << i;
  }
}

/// Calls body(table, heads, head width, placement): a half of the head takes every length.
template <class Body>
void for_all_heads(Body body) {
  for_all_cases([&](const KernelTable& table, std::int64_t half, int p) {
    for (const std::int64_t heads : {1, 5}) {
      if (heads > 1 && half > 70) continue;
      SCOPED_TRACE(std::to_string(heads) + " heads");
      body(table, heads, 2 * half, p);
    }
  });
}

TEST(Rotary, MatchesDoubleInBothDirections) {
  for_all_heads([](const KernelTable& table, std::int64_t heads, std::int64_t D, int p) {
    Turns turns(D, shifted(p, 1));
    GappedMatrix x(kRows, heads * D, p, 1), out(kRows, heads * D, shifted(p, 2), 2),
        back(kRows, heads * D, shifted(p, 3), 3);
    table.rotary_forward(kRows, heads, D, turns.table.data(), nullptr, x.view(), out.view());
    table.rotary_backward(kRows, heads, D, turns.table.data(), x.view(), back.view());
    for (std::int64_t r = 0; r < kRows; ++r) {
      const auto at = static_cast<std::size_t>(r);
      expect_row(out, r, turns.turned(at, row_of(x, r)), 2.0);
      expect_row(back, r, turns.turned(at, row_of(x, r), true), 2.0);
    }
    ASSERT_TRUE(x.intact() && out.intact() && back.intact());
  });
}

TEST(Rotary, AddsTheBiasFirst) {
  for_all_heads([](const KernelTable& table, std::int64_t heads, std::int64_t D, int p) {
    Turns turns(D, 0);
    GuardedFloats bias(heads * D, p);
    fill(bias, 4);
    GappedMatrix x(kRows, heads * D, shifted(p, 1), 1), out(kRows, heads * D, shifted(p, 2), 2),
        wanted(kRows, heads * D, 0, 2);
    table.rotary_forward(kRows, heads, D, turns.table.data(), bias.data(), x.view(), out.view());
    table.bias_add(kRows, heads * D, bias.data(), x.view(), x.view());
    table.rotary_forward(kRows, heads, D, turns.table.data(), nullptr, x.view(), wanted.view());
    ASSERT_EQ(out.doubles(), wanted.doubles());
    ASSERT_TRUE(out.intact() && bias.intact());
  });
}

// A turn is linear, so <dout, turn(x)> = <turned back dout, x> says that its gradient is right.
TEST(Rotary, BackwardIsTheGradientOfForward) {
  for_all_heads([](const KernelTable& table, std::int64_t heads, std::int64_t D, int p) {
    Turns turns(D, 0);
    GappedMatrix x(kRows, heads * D, p, 1), dout(kRows, heads * D, shifted(p, 1), 2);
    const std::vector<double> before = x.doubles(), upper = dout.doubles();
    // In place, as a step does it.
    table.rotary_forward(kRows, heads, D, turns.table.data(), nullptr, x.view(), x.view());
    table.rotary_backward(kRows, heads, D, turns.table.data(), dout.view(), dout.view());
    const std::vector<double> turned = x.doubles(), gradient = dout.doubles();
    double above = 0.0, below = 0.0, size = 0.0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      above += upper[i] * turned[i];
      below += gradient[i] * before[i];
      size += std::fabs(upper[i] * turned[i]) + std::fabs(gradient[i] * before[i]);
    }
    ASSERT_NEAR(above, below, 4 * kEpsilon * size + kEpsilon);
    ASSERT_TRUE(x.intact() && dout.intact());
  });
}

TEST(Rotary, ARowAndAHeadHaveTheSameBitsAlone) {
  constexpr std::int64_t kHeads = 5, kWidth = 12;
  for (const KernelTable* table : runnable_kernels()) {
    Turns turns(kWidth, 1);
    GappedMatrix x(kRows, kHeads * kWidth, 1, 1), whole(kRows, kHeads * kWidth, 2, 2),
        parts(kRows, kHeads * kWidth, 3, 2);
    table->rotary_forward(kRows, kHeads, kWidth, turns.table.data(), nullptr, x.view(),
                          whole.view());
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t h = 0; h < kHeads; ++h) {
        table->rotary_forward(1, 1, kWidth, turns.table.data() + r * kWidth, nullptr,
                              x.view().at(r, h * kWidth), parts.view().at(r, h * kWidth));
      }
    }
    EXPECT_EQ(parts.doubles(), whole.doubles()) << table->name;
  }
}

TEST(Rotary, Bf16StoresTheRoundedOutput) {
  for_all_heads([](const KernelTable& table, std::int64_t heads, std::int64_t D, int p) {
    const std::int64_t n = heads * D;
    Turns turns(D, 0);
    GappedMatrix x(kRows, n, p, 1), wanted(kRows, n, 0, 2);
    GuardedArray<Bf16> out(kRows * n, shifted(p, 1)), back(kRows * n, shifted(p, 2));
    table.rotary_forward(kRows, heads, D, turns.table.data(), nullptr, x.view(), wanted.view());
    table.bf16.rotary_forward(kRows, heads, D, turns.table.data(), nullptr, x.view(),
                              {out.data(), n});
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(out[r * n + i].bits, to_bf16(wanted.at(r, i)).bits) << r << ' ' << i;
        x.at(r, i) = to_float(out[r * n + i]);
      }
    }
    // Back from what was rounded, apart and in place.
    table.rotary_backward(kRows, heads, D, turns.table.data(), x.view(), wanted.view());
    table.bf16.rotary_backward(kRows, heads, D, turns.table.data(), {out.data(), n},
                               {back.data(), n});
    table.bf16.rotary_backward(kRows, heads, D, turns.table.data(), {out.data(), n},
                               {out.data(), n});
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(back[r * n + i].bits, to_bf16(wanted.at(r, i)).bits) << r << ' ' << i;
        ASSERT_EQ(out[r * n + i].bits, back[r * n + i].bits) << r << ' ' << i;
      }
    }
    ASSERT_TRUE(out.intact() && back.intact());
  });
}

}  // namespace
}  // namespace cllm
