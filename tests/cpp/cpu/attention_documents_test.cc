// Attention inside documents, of every ISA, is compared with double precision, and does not depend
// on what else lies in the sequence.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>

#include "attention_checks.h"
#include "isa_test.h"

namespace cllm {
namespace {

/// Where each row's document begins, of documents of these lengths one after another; the last one
/// goes on to the end.
std::vector<std::int32_t> first_keys_of(const std::vector<std::size_t>& lengths, std::size_t rows) {
  std::vector<std::int32_t> all;
  for (const std::size_t n : lengths) {
    const auto first = static_cast<std::int32_t>(all.size());
    for (std::size_t i = 0; i < n && all.size() < rows; ++i) all.push_back(first);
  }
  all.resize(rows, all.empty() ? 0 : all.back());
  return all;
}

/// One and many documents in a block of 64, documents of several blocks, begins at and beside the
/// borders of blocks.
const std::vector<std::vector<std::size_t>>& partings() {
  static const std::vector<std::vector<std::size_t>> all = {
      {1}, {1, 1, 1, 5}, {20, 30, 3, 40, 130}, {63, 2, 63}, {64, 64}, {128, 70}, {65, 1, 62, 90}};
  return all;
}

bool same_bits(const Floats& a, const Floats& b, std::size_t begin, std::size_t end) {
  return std::memcmp(a.data() + begin, b.data() + begin, (end - begin) * sizeof(float)) == 0;
}

template <class T>
void expect_same_rows(const Head<T>& a, const Head<T>& b, std::size_t begin, std::size_t end,
                      std::size_t width) {
  EXPECT_TRUE(same_bits(a.lse(), b.lse(), begin, end));
  EXPECT_TRUE(same_bits(a.out(), b.out(), begin * width, end * width));
  EXPECT_TRUE(same_bits(a.dq(), b.dq(), begin * width, end * width));
  EXPECT_TRUE(same_bits(a.dk(), b.dk(), begin * width, end * width));
  EXPECT_TRUE(same_bits(a.dv(), b.dv(), begin * width, end * width));
}

class AttentionDocuments : public IsaTest {};

TEST_P(AttentionDocuments, IsWhatDoublePrecisionSays) {
  for (const double rate : {0.0, 0.2}) {
    for (const std::size_t length : {1, 65, 200}) {
      for (const std::size_t width : {1, 33, 64}) {
        for (const auto& lengths : partings()) {
          SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width) +
                       ", documents from " + std::to_string(lengths.front()) + " on");
          AttentionProblem problem = make_problem<float>(length, width);
          problem.first_keys = first_keys_of(lengths, length);
          if (rate > 0) drop(problem, rate);
          Head<float> head(problem);
          head.run(*table_);
          expect_answer(head, reference_attention(problem), problem);
        }
      }
    }
  }
}

TEST_P(AttentionDocuments, OfBf16IsNear) {
  for (const std::size_t width : {15, 64}) {
    for (const auto& lengths : partings()) {
      AttentionProblem problem = make_problem<Bf16>(200, width);
      problem.first_keys = first_keys_of(lengths, 200);
      const AttentionAnswer answer = reference_attention(problem);
      Head<Bf16> head(problem);
      head.run(*table_);
      expect_close("out", head.out(), answer.out, answer.out);
      expect_close("dq", head.dq(), answer.dq, answer.dq);
      expect_close("dk", head.dk(), answer.dk, answer.dk);
      expect_close("dv", head.dv(), answer.dv, answer.dv);
      EXPECT_EQ(head.spilled(), 0u);
    }
  }
}

TEST_P(AttentionDocuments, GradientsAreFiniteDifferences) {
  AttentionProblem problem = make_problem<float>(80, 12);
  problem.first_keys = first_keys_of({30, 20, 30}, 80);
  expect_finite_differences(problem, *table_, 23);
}

template <class T>
void expect_one_document_is_none(const KernelTable& table) {
  AttentionProblem problem = make_problem<T>(200, 20);
  Head<T> without(problem);
  without.run(table);
  problem.first_keys.assign(200, 0);
  Head<T> with(problem);
  with.run(table);
  expect_same_rows(without, with, 0, 200, 20);
}

TEST_P(AttentionDocuments, OneOfAllRowsChangesNoBit) {
  expect_one_document_is_none<float>(*table_);
  expect_one_document_is_none<Bf16>(*table_);
}

/// A document keeps its bits between neighbours of any length and content.
template <class T>
void expect_no_neighbours(const KernelTable& table, std::size_t begin, std::size_t end) {
  SCOPED_TRACE("rows from " + std::to_string(begin) + " to " + std::to_string(end));
  constexpr std::size_t kRows = 300, kWidth = 20;
  AttentionProblem problem = make_problem<T>(kRows, kWidth);
  problem.first_keys = first_keys_of({begin, end - begin, kRows}, kRows);
  drop(problem, 0.1);
  Head<T> plain(problem);
  plain.run(table);
  const std::size_t half = begin / 2;
  problem.first_keys = first_keys_of({half, begin - half, end - begin, 7, kRows}, kRows);
  for (std::size_t x = 0; x < kRows * kWidth; ++x) {
    if (x >= begin * kWidth && x < end * kWidth) continue;
    problem.q[x] = -problem.q[x];
    problem.k[x] = problem.k[x] * 1e3 + 1e4;  // would win every softmax
    problem.v[x] = 1e15;
    problem.dout[x] = -1e15;
  }
  Head<T> changed(problem);
  changed.run(table);
  expect_same_rows(plain, changed, begin, end, kWidth);
}

TEST_P(AttentionDocuments, NeighboursDoNotShow) {
  for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, 1},
                                   {0, 90},
                                   {10, 20},
                                   {10, 64},
                                   {64, 128},
                                   {60, 200},
                                   {130, 300},
                                   {299, 300}}) {
    expect_no_neighbours<float>(*table_, begin, end);
    expect_no_neighbours<Bf16>(*table_, begin, end);
  }
}

// What is not computed at all may be anything.
TEST_P(AttentionDocuments, BlocksOfOtherDocumentsAreLeftOut) {
  constexpr std::size_t kRows = 256, kWidth = 20;
  AttentionProblem problem = make_problem<float>(kRows, kWidth);
  problem.first_keys = first_keys_of({64, 128, 64}, kRows);
  Head<float> plain(problem);
  plain.run(*table_);
  for (Doubles* matrix : {&problem.q, &problem.k, &problem.v, &problem.dout}) {
    for (std::size_t x = 0; x < kRows * kWidth; ++x) {
      if (x < 64 * kWidth || x >= 192 * kWidth) (*matrix)[x] = NAN;
    }
  }
  Head<float> changed(problem);
  changed.run(*table_);
  expect_same_rows(plain, changed, 64, 192, kWidth);
}

TEST_P(AttentionDocuments, RowsDoNotDependOnTheCut) {
  for (const auto& lengths : partings()) {
    AttentionProblem problem = make_problem<float>(200, 20);
    problem.first_keys = first_keys_of(lengths, 200);
    Head<float> whole(problem), blocks(problem);
    table_->attention_forward(whole.arguments(*table_));
    for (const std::int64_t begin : {128, 0, 64, 192}) {
      AttentionArgs<float> args = blocks.arguments(*table_);
      args.row_begin = begin;
      args.row_end = std::min<std::int64_t>(begin + 64, 200);
      table_->attention_forward(args);
    }
    EXPECT_TRUE(same_bits(blocks.out(), whole.out(), 0, 200 * 20));
    EXPECT_TRUE(same_bits(blocks.lse(), whole.lse(), 0, 200));
  }
}

CLLM_IN_EVERY_ISA(AttentionDocuments);

}  // namespace
}  // namespace cllm
