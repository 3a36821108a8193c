// Queue and parker run under the model checker, from the same source as the threads run.
#include "sync_mailbox_model.h"

namespace cllm {
namespace {

constexpr auto kNoBug = Weaken::kNothing;
constexpr Search kRandom{rl::sched_random, 100000};
constexpr Search kThreeSwitches{rl::sched_bound, Search().executions, 3};

TEST(MailboxModel, RandomTwoProducers) {
  expect_right<Mailboxes<2, 3>>("2 producers x 3, random", kRandom);
}

TEST(MailboxModel, RandomThreeProducers) {
  expect_right<Mailboxes<3, 3>>("3 producers x 3, random", kRandom);
}

TEST(MailboxModel, ThreeSwitches) {
  expect_right<Mailboxes<2, 1, kNoBug, Parker, false>>("2 producers x 1, 3 switches",
                                                       kThreeSwitches);
  expect_right<Mailboxes<1, 2, kNoBug, Parker, false>>("1 producer x 2, 3 switches",
                                                       kThreeSwitches);
}

// What the checker is worth: each of these bugs was planted, and each has to be found.

TEST(MailboxModel, FindsARelaxedPublish) {
  expect_found<Mailboxes<2, 3, Weaken::kStoreRelease>>("relaxed publish",
                                                       rl::test_result_data_race);
}

TEST(MailboxModel, FindsAMissingAcquire) {
  expect_found<Mailboxes<2, 3, Weaken::kLoadAcquire>>("missing acquire", rl::test_result_data_race);
}

// Without it the owner need never see what it was woken for.
TEST(MailboxModel, FindsAMissingOrderOfTheParker) {
  expect_found<Mailboxes<2, 3, Weaken::kExchange, Parker, false>>("missing order of the parker",
                                                                  rl::test_result_livelock);
}

TEST(MailboxModel, FindsAFlagSetAfterTheLastLook) {
  expect_found<Mailboxes<2, 3, kNoBug, LateParker, false>>("flag set after the last look",
                                                           rl::test_result_deadlock);
}

}  // namespace
}  // namespace cllm
