// The answer is the same over thirty steps: this is the project's first promise in full.
#include "one_answer.h"

namespace cllm {
namespace {

class OneAnswerLong : public testing::TestWithParam<TrainingCase> {};

TEST_P(OneAnswerLong, ThirtySteps) {
  const TrainingCase& c = GetParam();
  expect_one_answer(c, 30, one_answer_threads(c));
}

/// Models, adapters, packed documents, and these with adapters beside a base in bf16.
std::vector<TrainingCase> all_cases() {
  std::vector<TrainingCase> all = training_cases();
  for (const TrainingCase& c : lora_cases()) all.push_back(c);
  for (TrainingCase c : packed_cases()) {
    all.push_back(c);
    if (!c.lora) continue;
    c.base = Precision::kBf16;
    c.name += "RoundedBase";
    all.push_back(c);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Shapes, OneAnswerLong, testing::ValuesIn(all_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cllm
