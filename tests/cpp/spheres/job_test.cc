// The words of one job are tested by themselves: phases, strands, team.
#include "spheres/job.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace cllm {
namespace {

/// Two rows of two phases and one that waits for both, in one strand.
JobPlan two_rows() {
  JobPlan plan;
  plan.phases = {{2, {}}, {1, {}}, {1, {0}}, {2, {1}}, {1, {2, 3}}};
  return plan;
}

TEST(Job, OpensPhasesThatWaitForNothingMore) {
  JobPlan plan = two_rows();
  plan.arrivals = 2;
  Job job;
  job.bind(plan);
  EXPECT_EQ(job.first_tiles(), 3);
  for (int round = 0; round < 3; ++round) {
    job.reset();
    EXPECT_LT(job.claim().phase, 0);
    EXPECT_FALSE(job.arrive()) << "one arrival is missing";
    EXPECT_TRUE(job.is_closed());
    EXPECT_FALSE(job.untouched());
    EXPECT_TRUE(job.arrive());
    EXPECT_TRUE(job.untouched());
    EXPECT_EQ(job.claimable(), 7);
    EXPECT_EQ(job.claim().tile, 0);
    EXPECT_FALSE(job.untouched());
    const Job::Ticket second = job.claim();
    EXPECT_EQ(second.tile, 1);
    EXPECT_EQ(second.next_ready, 1) << "phase 1 was open behind it";
    EXPECT_EQ(job.claim().phase, 1);
    EXPECT_EQ(job.claimable(), 0);
    EXPECT_LT(job.claim().phase, 0) << "phase 2 waits for phase 0";
    EXPECT_EQ(job.finish_tile(1).opened, 2) << "phase 3, though phase 2 is still in the way";
    EXPECT_LT(job.claim().phase, 0);
    EXPECT_EQ(job.finish_tile(0).opened, 0);
    EXPECT_EQ(job.finish_tile(0).opened, 1);
    EXPECT_EQ(job.claim().phase, 2);
    EXPECT_EQ(job.claim().phase, 3);
    EXPECT_EQ(job.claim().phase, 3);
    EXPECT_FALSE(job.finish_tile(3).job);
    EXPECT_EQ(job.finish_tile(3).opened, 0);
    EXPECT_LT(job.claim().phase, 0);
    EXPECT_EQ(job.finish_tile(2).opened, 1);
    EXPECT_FALSE(job.claimed_out());
    const Job::Ticket last = job.claim();
    EXPECT_EQ(last.phase, 4);
    EXPECT_TRUE(last.last);
    EXPECT_TRUE(job.claimed_out());
    EXPECT_FALSE(job.finished());
    EXPECT_TRUE(job.finish_tile(4).job);
    EXPECT_TRUE(job.finished());
    EXPECT_LT(job.claim().phase, 0);
  }
}

TEST(Job, OpenedAfterAFailureGivesAllItsTiles) {
  const JobPlan plan = two_rows();
  Job job;
  job.bind(plan);
  job.reset();
  job.open();
  std::vector<int> phases;
  for (;;) {
    const Job::Ticket ticket = job.claim(0, true);
    if (ticket.phase < 0) break;
    phases.push_back(ticket.phase);
  }
  EXPECT_EQ(phases, (std::vector<int>{0, 0, 1, 2, 3, 3, 4}));
  job.arrive();
  EXPECT_TRUE(job.claimed_out()) << "a late arrival opens nothing again";
  for (int phase : phases) job.finish_tile(phase);
  EXPECT_TRUE(job.finished());
}

/// The same, each row in a strand of its own, and a phase before the last that is everybody's.
JobPlan two_strands() {
  JobPlan plan;
  plan.phases = {{2, {}, 1},  {2, {}, 2},     {1, {0}, 1},
                 {1, {1}, 2}, {2, {0, 1}, 0}, {1, {2, 3, 4}, 0}};
  return plan;
}

TEST(Job, GivesAloneItsPhasesInTheirOrder) {
  JobPlan plan = two_strands();
  Job job;
  job.bind(plan);
  for (int round = 0; round < 2; ++round) {
    job.reset();
    EXPECT_FALSE(job.untouched());
    job.arrive();
    EXPECT_TRUE(job.untouched());
    std::vector<int> phases;
    int lasts = 0;
    for (;;) {
      const Job::Ticket ticket = job.claim(round);
      if (ticket.phase < 0) break;
      EXPECT_FALSE(job.untouched());
      phases.push_back(ticket.phase);
      lasts += ticket.last ? 1 : 0;
      EXPECT_EQ(job.claimed_out(), ticket.last);
      job.finish_tile(ticket.phase);
    }
    EXPECT_EQ(phases, (std::vector<int>{0, 0, 1, 1, 2, 3, 4, 4, 5}));
    EXPECT_EQ(lasts, 1) << "not once for each strand";
    EXPECT_TRUE(job.finished());
  }
}

TEST(Job, GivesEachWorkerItsRowsFirst) {
  const JobPlan plan = two_strands();
  Job job;
  job.bind(plan);
  job.reset();
  job.arrive();
  constexpr int kLeft = 3, kRight = 40;  // seats
  const auto takes = [&job](int seat, int phase, int tile, int ready = 0) {
    const Job::Ticket ticket = job.claim(seat);
    EXPECT_EQ(ticket.phase, phase);
    EXPECT_EQ(ticket.tile, tile);
    EXPECT_EQ(ticket.next_ready, ready);
    EXPECT_EQ(ticket.last, phase == 5);
  };
  takes(kRight, 0, 0);  // alone
  takes(kLeft, 0, 1);
  EXPECT_EQ(job.claimable(), 7) << "two can be claimed";
  takes(kLeft, 1, 0);  // helps
  takes(kRight, 1, 1);
  EXPECT_EQ(job.claimable(), 0);
  EXPECT_EQ(job.finish_tile(0).opened, 0);
  EXPECT_EQ(job.finish_tile(0).opened, 1);
  EXPECT_EQ(job.finish_tile(1).opened, 0);
  EXPECT_EQ(job.finish_tile(1).opened, 3);
  EXPECT_EQ(job.claimable(), 5);
  takes(kRight, 3, 0);  // its row before everybody's, which comes later
  takes(kRight, 4, 0);  // everybody's before the other's row
  job.leave(kLeft);
  takes(kRight, 2, 0);  // alone again
  takes(kLeft, 4, 1);
  EXPECT_FALSE(job.claimed_out());
  EXPECT_LT(job.claim(kLeft).phase, 0);
  EXPECT_EQ(job.finish_tile(2).opened, 0);
  EXPECT_EQ(job.finish_tile(3).opened, 0);
  EXPECT_EQ(job.finish_tile(4).opened, 0);
  EXPECT_EQ(job.finish_tile(4).opened, 1);
  EXPECT_EQ(job.claimable(), 1);
  takes(kRight, 5, 0);
  EXPECT_TRUE(job.claimed_out());
  EXPECT_TRUE(job.finish_tile(5).job);
}

TEST(Job, GivesACrowdWhatIsEverybodysLast) {
  JobPlan plan;
  plan.phases = {{4, {}, 0}, {1, {}, 1}, {3, {}, 2}};
  Job job;
  job.bind(plan);
  job.reset();
  job.arrive();
  EXPECT_EQ(job.claim(0).phase, 0) << "alone";
  EXPECT_EQ(job.claim(1).phase, 0) << "a part for each";
  EXPECT_EQ(job.claim(2).phase, 2) << "three share two parts: its own";
  EXPECT_EQ(job.claim(1).phase, 1) << "its own";
  EXPECT_EQ(job.claim(1).phase, 2) << "another's";
  EXPECT_EQ(job.claim(0).phase, 2);
  EXPECT_EQ(job.claim(0).phase, 0) << "nothing else is left";
  job.leave(2);
  EXPECT_EQ(job.claim(0).phase, 0);
  EXPECT_TRUE(job.claimed_out());
}

TEST(Job, TellsOfAPhaseThatOpenedBehindAnotherOfItsStrand) {
  JobPlan plan;
  plan.phases = {{1, {}, 1}, {1, {}, 2}, {3, {}, 1}, {1, {0}, 1}};
  Job job;
  job.bind(plan);
  job.reset();
  job.arrive();
  EXPECT_EQ(job.claim().next_ready, 3);
  EXPECT_EQ(job.claim().next_ready, 0) << "nothing comes after it in its strand";
  job.claim();
  job.claim();
  EXPECT_EQ(job.claim().next_ready, 0) << "phase 3 is not open";
}

TEST(Job, OpenedAfterAFailureGivesAllItsStrands) {
  const JobPlan plan = two_strands();
  Job job;
  job.bind(plan);
  job.reset();
  job.open();
  std::vector<int> phases;
  int lasts = 0;
  for (int seat = 0;; seat = 1 - seat) {
    const Job::Ticket ticket = job.claim(seat, true);
    if (ticket.phase < 0) break;
    phases.push_back(ticket.phase);
    lasts += ticket.last ? 1 : 0;
  }
  EXPECT_EQ(lasts, 1);
  EXPECT_TRUE(job.claimed_out());
  std::sort(phases.begin(), phases.end());
  EXPECT_EQ(phases, (std::vector<int>{0, 0, 1, 1, 2, 3, 4, 4, 5}));
  for (int phase : phases) job.finish_tile(phase);
  EXPECT_TRUE(job.finished());
}

TEST(Team, DealsPartsByRank) {
  Team team;
  const auto share = [&team](int seat, std::size_t parts) {
    const Team::Share s = team.share(seat, parts);
    return std::vector<std::size_t>{s.begin, s.end};
  };
  using Parts = std::vector<std::size_t>;
  EXPECT_EQ(share(63, 8), (Parts{0, 8})) << "alone, before it has joined";
  team.join(40);
  team.join(40);
  EXPECT_EQ(share(40, 8), (Parts{0, 8}));
  EXPECT_EQ(share(0, 8), (Parts{0, 4})) << "as if it had joined";
  team.join(0);
  team.join(63);
  EXPECT_EQ(share(0, 8), (Parts{0, 2}));
  EXPECT_EQ(share(40, 8), (Parts{2, 5}));
  EXPECT_EQ(share(63, 8), (Parts{5, 8}));
  EXPECT_FALSE(team.share(40, 3).crowded);
  EXPECT_EQ(share(40, 1), (Parts{0, 1})) << "fewer parts than members: two have the same one";
  EXPECT_TRUE(team.share(40, 1).crowded);
  EXPECT_EQ(share(40, 0), (Parts{0, 0}));
  team.leave(40);
  team.leave(41);
  EXPECT_EQ(share(63, 8), (Parts{4, 8}));
  team.clear();
  EXPECT_EQ(share(5, 3), (Parts{0, 3}));
  for (int seat = 0; seat < Team::kSeats; ++seat) team.join(seat);
  for (int seat = 0; seat < Team::kSeats; ++seat) {
    const Team::Share s = team.share(seat, 8);
    EXPECT_EQ(s.begin, static_cast<std::size_t>(seat / 8));
    EXPECT_EQ(s.end, s.begin + 1);
  }
}

/// A lap of four phases in three strands that comes seven times after a first time of its own, and
/// a phase after it. The last two of a time run beside the first two of the next, and the third of
/// that one may end before them.
JobPlan laps_of_three_strands() {
  JobPlan plan;
  plan.phases = {{2, {}, 1},     {1, {0}, 2}, {3, {0}, 1},    {2, {1, 2}, 0},  {2, {1}, 1},
                 {1, {3, 4}, 2}, {3, {4}, 1}, {2, {5, 6}, 0}, {1, {30, 31}, 0}};
  plan.laps = {{4, 1}, {4, 7}, {1, 1}};
  return plan;
}

TEST(Job, CountsEveryTimeOfALap) {
  const JobPlan plan = laps_of_three_strands();
  const std::vector<PhasePlan> phases = unrolled(plan);
  ASSERT_EQ(phases.size(), 33u);
  EXPECT_EQ(phases[29].after, (std::vector<std::int32_t>{27, 28}));
  EXPECT_EQ(phases[32].after, (std::vector<std::int32_t>{30, 31}));
  EXPECT_EQ(count_tiles(plan), 8 * 8 + 1);
}

TEST(Job, OpensEveryTimeOfALapAfterWhatItWaitsFor) {
  const JobPlan plan = laps_of_three_strands();
  const std::vector<PhasePlan> phases = unrolled(plan);
  Job job;
  job.bind(plan);
  std::mt19937 random(3);
  for (int run = 0; run < 200; ++run) {
    job.reset();
    job.arrive();
    std::vector<int> begun(phases.size(), 0), ended(phases.size(), 0);
    std::vector<int> running, lasts;
    int ready = job.first_tiles(), tiles = 0;
    while (!job.finished()) {
      const bool claims = random() % 2 == 0;
      const Job::Ticket ticket =
          claims ? job.claim(static_cast<int>(random() % 64)) : Job::Ticket{};
      if (ticket.phase >= 0) {
        const auto p = static_cast<std::size_t>(ticket.phase);
        ASSERT_EQ(ticket.tile, begun[p]++);
        for (const std::int32_t before : phases[p].after) {
          const auto b = static_cast<std::size_t>(before);
          ASSERT_EQ(ended[b], phases[b].tiles) << "phase " << p << " before " << b;
        }
        running.push_back(ticket.phase);
        --ready;
        ++tiles;
        ASSERT_GE(ready, 0) << "of tiles that nobody was told of";
        if (ticket.last) lasts.push_back(ticket.phase);
        continue;
      }
      if (running.empty()) {
        ASSERT_TRUE(!claims || ready == 0) << "nothing can be claimed, and nobody works";
        continue;
      }
      std::swap(running[random() % running.size()], running.back());
      const auto finished = job.finish_tile(running.back());
      ++ended[static_cast<std::size_t>(running.back())];
      running.pop_back();
      ready += finished.opened;
      ASSERT_EQ(finished.job, job.finished());
    }
    EXPECT_EQ(tiles, 65);
    EXPECT_EQ(lasts.size(), 1u);
    EXPECT_EQ(begun, ended);
  }
}

TEST(Job, SkipsTheRestFromInsideATile) {
  const JobPlan plan = laps_of_three_strands();
  const std::vector<PhasePlan> phases = unrolled(plan);
  Job job;
  job.bind(plan);
  std::mt19937 random(5);
  for (int run = 0; run < 300; ++run) {
    job.reset();
    job.arrive();
    const int skip_at = run % 66;
    std::vector<int> running;
    int claimed = 0, lasts = 0;
    bool skipped = false;
    while (!job.finished()) {
      const bool claims = random() % 2 == 0;
      const Job::Ticket ticket =
          claims ? job.claim(static_cast<int>(random() % 64)) : Job::Ticket{};
      if (ticket.phase >= 0) {
        ASSERT_FALSE(skipped) << "a tile was left";
        running.push_back(ticket.phase);
        lasts += ticket.last ? 1 : 0;
        if (++claimed == skip_at) {
          skipped = true;
          lasts += job.skip_rest() ? 1 : 0;
          EXPECT_TRUE(job.claimed_out());
          EXPECT_FALSE(job.skip_rest()) << "nothing is left to skip";
        }
        continue;
      }
      if (running.empty()) continue;
      std::swap(running[random() % running.size()], running.back());
      const auto finished = job.finish_tile(running.back());
      running.pop_back();
      ASSERT_EQ(finished.job, job.finished());
      ASSERT_EQ(finished.job, running.empty() && (skipped || claimed == 65));
    }
    EXPECT_EQ(lasts, 1) << "skipped at " << skip_at;
    EXPECT_EQ(claimed, skipped ? skip_at : 65);
  }
}

TEST(Job, EndsWhenALapIsClaimedWhetherOpenOrNot) {
  const JobPlan plan = laps_of_three_strands();
  Job job;
  job.bind(plan);
  std::mt19937 random(4);
  for (int run = 0; run < 100; ++run) {
    job.reset();
    job.open();
    std::vector<int> claimed;
    for (;;) {
      const Job::Ticket ticket = job.claim(static_cast<int>(random() % 64), true);
      if (ticket.phase < 0) break;
      claimed.push_back(ticket.phase);
    }
    EXPECT_EQ(claimed.size(), 65u);
    std::shuffle(claimed.begin(), claimed.end(), random);
    for (std::size_t i = 0; i < claimed.size(); ++i) {
      EXPECT_FALSE(job.finished());
      EXPECT_EQ(job.finish_tile(claimed[i]).job, i + 1 == claimed.size());
    }
    EXPECT_TRUE(job.finished());
  }
}

}  // namespace
}  // namespace cllm
