// These tests check which evaluation counts as the best: the lowest of those on the same tokens.
#include "telemetry/evaluation_record.h"

#include <gtest/gtest.h>

#include <cmath>

#include "temporary_folder.h"

namespace cllm {
namespace {

TEST(EvaluationRecord, TheFirstOfTheLowestIsTheBest) {
  EvaluationRecord record;
  record.add(1, std::nan(""), 64);
  EXPECT_EQ(record.best_step, -1);
  record.add(2, 3.0, 64);
  record.add(3, 2.5, 64);
  record.add(4, 2.5, 64);
  record.add(5, 2.75, 64);
  EXPECT_EQ(record.best_step, 3);
  EXPECT_EQ(record.best_loss, 2.5);
  EXPECT_EQ(record.last_step, 5);
}

TEST(EvaluationRecord, OtherTokensAreNotComparedWithThose) {
  EvaluationRecord record;
  record.add(1, 2.0, 64);
  record.add(2, std::nan(""), 128);
  EXPECT_EQ(record.best_step, 1) << "its checkpoint stays until there is a better one";
  record.add(3, 2.5, 128);
  EXPECT_EQ(record.best_step, 3);
  record.add(4, 2.25, 128);
  EXPECT_EQ(record.best_step, 4);
}

TEST(EvaluationRecord, CountsEvaluationsSinceTheLowest) {
  EvaluationRecord record;
  EXPECT_EQ(record.waited, 0);
  record.add(1, 2.0, 64);
  EXPECT_EQ(record.waited, 0);
  record.add(2, 2.0, 64);
  record.add(3, std::nan(""), 64);
  EXPECT_EQ(record.waited, 2);
  record.forget_best();  // its checkpoint is gone, but not its loss
  record.add(4, 2.5, 64);
  EXPECT_EQ(record.waited, 3);
  EXPECT_EQ(record.lowest_step, 1);
  EXPECT_EQ(record.best_step, 4);
  record.add(5, 1.5, 64);
  EXPECT_EQ(record.waited, 0);
  record.add(6, 1.75, 128);
  EXPECT_EQ(record.waited, 0) << "losses of other tokens are not compared with those";
}

TEST(EvaluationRecord, IsReadFromTheMetricsOfARun) {
  const TemporaryFolder folder;
  const std::string file = folder.file("metrics.jsonl",
                                       R"({"step":1,"loss":5.5}
{"step":1,"val_loss":1.5,"bits_per_byte":null}
{"step":2,"val_loss":2.5,"bits_per_byte":null,"val_tokens":64,"val_tokens_total":999}
{"step":3,"val_loss":2.25,"bits_per_byte":null,"val_tokens":64,"val_tokens_total":999}
{"step":4,"val_loss":null,"bits_per_byte":null,"val_tokens":64,"val_tokens_total":999}
not json, but "val_loss"
)");
  const EvaluationRecord record = read_evaluations(file, 999);
  EXPECT_EQ(record.best_step, 3);
  EXPECT_EQ(record.last_step, 4);
  EXPECT_EQ(record.waited, 1) << "a loss that is not finite is none that is lower";
  EXPECT_EQ(read_evaluations(file, 64).best_step, 1) << "the first was on all tokens: on 64";
  EXPECT_EQ(read_evaluations(folder / "none", 999).last_step, -1);
}

}  // namespace
}  // namespace cllm
