// Queue and parker run under the model checker for longer: a million random executions, and every
// interleaving of the smallest case.
#include "sync_mailbox_model.h"

namespace cllm {
namespace {

constexpr Search kMillion{rl::sched_random, 1000000};
constexpr Search kEvery{rl::sched_full};
constexpr Search kEightSwitches{rl::sched_bound, Search().executions, 8};

template <int kProducers, int kMessages>
using WokenOnly = Mailboxes<kProducers, kMessages, Weaken::kNothing, Parker, false>;

TEST(MailboxModel, AMillionOfTwoProducers) {
  expect_right<Mailboxes<2, 3>>("2 producers x 3, random", kMillion);
}

TEST(MailboxModel, AMillionOfThreeProducers) {
  expect_right<Mailboxes<3, 3>>("3 producers x 3, random", kMillion);
}

TEST(MailboxModel, EveryInterleavingOfTwoMessages) {
  expect_right<WokenOnly<1, 2>>("1 producer x 2, all", kEvery);
}

TEST(MailboxModel, EightSwitchesOfTwoProducers) {
  expect_right<WokenOnly<2, 1>>("2 producers x 1, 8 switches", kEightSwitches);
}

// By hand, with --gtest_also_run_disabled_tests: half an hour for 1 064 927 356 executions.
TEST(MailboxModel, DISABLED_EveryInterleavingOfTwoProducers) {
  expect_right<WokenOnly<2, 1>>("2 producers x 1, all", kEvery);
}

}  // namespace
}  // namespace cllm
