// The answer stays the same while threads come and go, over more steps and more random runs than in
// the default tier.
#include "elastic.h"

namespace cllm {
namespace {

class ElasticLong : public testing::TestWithParam<TrainingCase> {};

TEST_P(ElasticLong, FortyStepsOfManyRandomRuns) {
  const TrainingCase& c = GetParam();
  expect_elastic(c, 40, is_heavy(c) ? 3 : 10);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ElasticLong, testing::ValuesIn(training_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cllm
