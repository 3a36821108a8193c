// The answer stays the same while threads come and go between steps, under both routings and under
// `auto`.
#include "elastic.h"

#include "sanitized.h"

namespace cllm {
namespace {

class Elastic : public testing::TestWithParam<TrainingCase> {};

TEST_P(Elastic, ResizedAtRandomStepsTheBitsStay) {
  const TrainingCase& c = GetParam();
  const bool is_slow = is_heavy(c) || (kSanitized && c.name != training_cases().front().name);
  expect_elastic(c, is_slow ? 3 : 8, is_slow ? 1 : 2);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Elastic, testing::ValuesIn(fewer_if_sanitized(training_cases())),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cllm
