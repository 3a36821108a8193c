// The answer is the same over thirty steps: this is the project's first promise in full.
#include "one_answer.h"

namespace cllm {
namespace {

class OneAnswerLong : public testing::TestWithParam<TrainingCase> {};

TEST_P(OneAnswerLong, ThirtySteps) {
  const TrainingCase& c = GetParam();
  expect_one_answer(c, 30, one_answer_threads(c));
}

INSTANTIATE_TEST_SUITE_P(Shapes, OneAnswerLong, testing::ValuesIn(training_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cllm
