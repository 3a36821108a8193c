// Queue and parker under the model checker for longer: a million random executions, and every
// interleaving of the smallest case.
#include <gtest/gtest.h>

#include "sync_mailbox_model.h"

namespace cllm {
namespace {

constexpr std::uint64_t kMillion = 1000000;
constexpr std::uint64_t kAll = std::uint64_t{1} << 40;  // of a search that has an end

template <class Model>
void expect_right(const char* what, const Search& search, std::uint64_t at_least) {
  const Finding finding = check<Model>(search);
  tell(what, finding);
  EXPECT_EQ(finding.result, rl::test_result_success);
  EXPECT_GE(finding.executions, at_least);
}

template <int kProducers, int kMessages>
using WokenOnly = Mailboxes<kProducers, kMessages, Weaken::kNothing, Parker, false>;

TEST(MailboxModel, AMillionOfTwoProducers) {
  expect_right<Mailboxes<2, 3>>("2 producers x 3, random", {rl::sched_random, kMillion}, kMillion);
}

TEST(MailboxModel, AMillionOfThreeProducers) {
  expect_right<Mailboxes<3, 3>>("3 producers x 3, random", {rl::sched_random, kMillion}, kMillion);
}

TEST(MailboxModel, EveryInterleavingOfTwoMessages) {
  expect_right<WokenOnly<1, 2>>("1 producer x 2, all", {rl::sched_full, kAll}, 1000);
}

// All of them are too many.
TEST(MailboxModel, FourSwitchesOfTwoProducers) {
  expect_right<WokenOnly<2, 1>>("2 producers x 1, 4 switches", {rl::sched_bound, kAll, 4}, 1000);
}

}  // namespace
}  // namespace cllm
