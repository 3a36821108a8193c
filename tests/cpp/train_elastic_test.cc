// One answer while threads come and go between steps, under both routings and under `auto`.
#include "elastic.h"

namespace cllm {
namespace {

class Elastic : public testing::TestWithParam<TrainingCase> {};

TEST_P(Elastic, ResizedAtRandomStepsTheBitsStay) {
  const TrainingCase& c = GetParam();
  expect_elastic(c, is_heavy(c) ? 3 : 8, is_heavy(c) ? 1 : 2);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Elastic, testing::ValuesIn(training_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cllm
