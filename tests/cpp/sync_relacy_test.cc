// Queue and parker under the model checker: the same source as the threads run.
#include <gtest/gtest.h>

#include "sync_mailbox_model.h"

namespace cllm {
namespace {

constexpr std::uint64_t kAll = std::uint64_t{1} << 40;  // of a search that has an end

constexpr auto kNoBug = Weaken::kNothing;

template <class Model>
void expect_right(const char* what, const Search& search, std::uint64_t at_least) {
  const Finding finding = check<Model>(search);
  tell(what, finding);
  EXPECT_EQ(finding.result, rl::test_result_success);
  EXPECT_GE(finding.executions, at_least);
}

template <class Model>
void expect_found(const char* what, rl::test_result_e as) {
  const Finding finding = check<Model>({rl::sched_random, 100000, 0, true});
  tell(what, finding);
  EXPECT_EQ(finding.result, as);
}

TEST(MailboxModel, RandomTwoProducers) {
  expect_right<Mailboxes<2, 3>>("2 producers x 3, random", {rl::sched_random, 100000}, 100000);
}

TEST(MailboxModel, RandomThreeProducers) {
  expect_right<Mailboxes<3, 3>>("3 producers x 3, random", {rl::sched_random, 100000}, 100000);
}

TEST(MailboxModel, ThreeSwitches) {
  expect_right<Mailboxes<2, 1, kNoBug, Parker, false>>("2 producers x 1, 3 switches",
                                                       {rl::sched_bound, kAll, 3}, 1000);
  expect_right<Mailboxes<1, 2, kNoBug, Parker, false>>("1 producer x 2, 3 switches",
                                                       {rl::sched_bound, kAll, 3}, 1000);
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
