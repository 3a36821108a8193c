// The engine's logic runs under a deterministic scheduler: all orders of moves up to a number of
// switches on small trees, random orders on large ones, faults, and planted bugs that must be
// found.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "sphere_schedule.h"

namespace cllm {
namespace {

struct Case {
  int threads;
  int symmetry_order;
  TaggedStep::Shape shape;
  int runs;
  Bug bug = Bug::kNone;
  int throw_at = -1;   ///< the tile that throws, by the order of their start
  int cancel_at = -1;  ///< the first that is not computed in its run
};

/// Goes through all sequences of choices, one execution each.
class Choices {
 public:
  int pick(int options) {
    if (at_ == taken_.size()) taken_.push_back({0, options});
    return taken_[at_++].first;
  }
  bool next() {
    at_ = 0;
    while (!taken_.empty() && taken_.back().first + 1 == taken_.back().second) taken_.pop_back();
    if (taken_.empty()) return false;
    ++taken_.back().first;
    return true;
  }

 private:
  std::vector<std::pair<int, int>> taken_;  // choice, number of options
  std::size_t at_ = 0;
};

void plant(const Case& c, TaggedStep& step) {
  step.cancel_at = c.cancel_at;
  if (c.throw_at < 0) return;
  step.before_tile = [left = c.throw_at](const TileClaim&) mutable {
    if (left-- == 0) throw std::runtime_error("planted");
  };
}

struct Result {
  std::uint64_t executions = 0;
  std::uint64_t moves = 0;
  std::uint64_t failed = 0;
  bool complete = false;  ///< there is no other order
  std::string violation;
};

/// Every order of moves in which a sphere that could go on is interrupted at most `switches` times.
Result explore(const Case& c, int switches, std::uint64_t most) {
  const TreePlan plan = plan_tree(c.threads, c.symmetry_order);
  Result result;
  Choices choices;
  do {
    SphereSchedule schedule(plan, c.shape, c.runs, c.bug);
    plant(c, schedule.step());
    ++result.executions;
    try {
      int current = -1, left = switches;
      std::vector<int> options;
      for (;;) {
        options.clear();
        const bool goes_on = current >= 0 && schedule.can_move(current);
        if (goes_on) options.push_back(current);
        for (int s = 0; s < schedule.size() && !(goes_on && left == 0); ++s) {
          if (s != current && schedule.can_move(s)) options.push_back(s);
        }
        if (options.empty()) break;
        const int chosen =
            options[static_cast<std::size_t>(choices.pick(static_cast<int>(options.size())))];
        if (goes_on && chosen != current) --left;
        current = chosen;
        schedule.move(current);
      }
      schedule.check_end();
    } catch (const Violation& v) {
      result.violation = v.what();
    }
    result.moves += schedule.moves();
    result.failed += schedule.failed() ? 1 : 0;
    result.complete = !choices.next();
  } while (result.violation.empty() && result.executions < most && !result.complete);
  return result;
}

/// Moves of spheres chosen at random.
Result play(const Case& c, std::uint32_t seed) {
  const TreePlan plan = plan_tree(c.threads, c.symmetry_order);
  SphereSchedule schedule(plan, c.shape, c.runs, c.bug);
  plant(c, schedule.step());
  std::mt19937 random(seed);
  Result result;
  result.executions = 1;
  try {
    for (;;) {
      int s = static_cast<int>(random() % static_cast<std::uint32_t>(schedule.size()));
      int looked = 0;
      while (looked < schedule.size() && !schedule.can_move(s)) {
        s = (s + 1) % schedule.size();
        ++looked;
      }
      if (looked == schedule.size()) break;
      schedule.move(s);
    }
    schedule.check_end();
  } catch (const Violation& v) {
    result.violation = v.what();
  }
  result.moves = schedule.moves();
  result.failed = schedule.failed() ? 1 : 0;
  return result;
}

void tell(const std::string& what, const Result& r) {
  std::printf("%s: %llu executions, %llu moves%s%s\n", what.c_str(),
              static_cast<unsigned long long>(r.executions),
              static_cast<unsigned long long>(r.moves),
              r.complete ? ", all there are" : (r.violation.empty() ? "" : ", found: "),
              r.violation.c_str());
}

// Positions, phases, blocks; owners are those of the tree; active workers.
constexpr TaggedStep::Shape kSmall = {2, 1, 1, 0, 2};
constexpr TaggedStep::Shape kThree = {3, 2, 2, 0, 1};

constexpr TaggedStep::Shape kLeast = {2, 1, 1, 0, 1};

TEST(Schedule, EveryOrderOnSmallTrees) {
  const auto all = [](const Case& c, int switches) {
    const Result r = explore(c, switches, 200000);
    tell(std::to_string(c.threads) + " spheres, " + std::to_string(switches) + " switches", r);
    EXPECT_EQ(r.violation, "") << c.threads;
    EXPECT_TRUE(r.complete) << c.threads;
    EXPECT_EQ(r.failed, 0u);
  };
  all({3, 12, kLeast, 1}, 2);
  all({4, 12, kLeast, 1}, 0);
  all({5, 2, kLeast, 1}, 0);
}

TEST(Schedule, ManyOrdersOnSmallTrees) {
  for (const Case& c : {Case{3, 12, kSmall, 2}, Case{4, 12, kSmall, 1}, Case{5, 2, kSmall, 1},
                        Case{5, 12, kThree, 1}}) {
    const Result r = explore(c, 2, 30000);
    tell(std::to_string(c.threads) + " spheres, 2 switches", r);
    EXPECT_EQ(r.violation, "") << c.threads;
    EXPECT_GT(r.executions, 100u);
    EXPECT_EQ(r.failed, 0u);
  }
}

TEST(Schedule, ThrowsAtEveryTileOnSmallTrees) {
  Result all;
  for (const Case& c : {Case{3, 12, kThree, 2}, Case{5, 2, kThree, 2}}) {
    for (int tile = 0; tile < 20; ++tile) {
      Case faulty = c;
      faulty.throw_at = tile;
      const Result r = explore(faulty, 1, 500);
      EXPECT_EQ(r.violation, "") << c.threads << " spheres, tile " << tile;
      EXPECT_EQ(r.failed, r.executions) << "a throw that is not noticed";
      all.executions += r.executions;
      all.moves += r.moves;
    }
  }
  tell("throws", all);
}

TEST(Schedule, CancelsAtEveryTileOnSmallTrees) {
  Result all;
  for (const Case& c : {Case{3, 12, kThree, 2}, Case{5, 2, kThree, 3}}) {
    for (int tile = 0; tile < 40; ++tile) {
      Case cancelled = c;
      cancelled.cancel_at = tile;
      const Result r = explore(cancelled, 1, 500);
      EXPECT_EQ(r.violation, "") << c.threads << " spheres, tile " << tile;
      EXPECT_EQ(r.failed, 0u);
      all.executions += r.executions;
      all.moves += r.moves;
    }
  }
  tell("cancelled", all);
}

TEST(Schedule, RandomOrdersOnTreesOfManySizes) {
  Result all;
  for (int threads : {3, 4, 5, 7, 13, 14, 64, 157, 400}) {
    const int workers = static_cast<int>(count_workers(threads));
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
      Case c = {threads, 12, {1 + static_cast<int>(seed) % 12, 3, 3, 0, workers}, 3};
      if (seed % 2 == 1) c.shape.active_workers = 1;  // few buffers
      if (seed % 5 == 4) c.throw_at = static_cast<int>(seed);
      if (seed % 5 == 2) c.cancel_at = static_cast<int>(seed);
      const Result r = play(c, seed);
      EXPECT_EQ(r.violation, "") << threads << " spheres, seed " << seed;
      EXPECT_EQ(r.failed, c.throw_at >= 0 ? 1u : 0u);
      all.executions += r.executions;
      all.moves += r.moves;
    }
  }
  tell("random, 3 to 400 spheres", all);
}

TEST(Schedule, TwentyThousandSpheres) {
  for (int throw_at : {-1, 5}) {
    Case c = {20000, 12, {3, 1, 40, 0, 12}, 1};
    c.throw_at = throw_at;
    const Result r = play(c, 1);
    tell("20000 spheres", r);
    EXPECT_EQ(r.violation, "");
    EXPECT_EQ(r.failed, throw_at >= 0 ? 1u : 0u);
  }
}

// What the checks are worth: each of these bugs was planted, and each has to be found.
void expect_found(const char* what, int symmetry_order, Bug bug, const char* violation) {
  const Result r = explore({5, symmetry_order, kThree, 1, bug}, 2, 30000);
  tell(what, r);
  EXPECT_EQ(r.violation, violation);
}

TEST(Schedule, FindsAReorderedSum) {  // it takes the right order of moves
  const Result r = explore({3, 12, kLeast, 1, Bug::kReorderedSum}, 2, 200000);
  tell("reordered sum", r);
  EXPECT_EQ(r.violation, "a sum is not that of its inputs in their order");
}
TEST(Schedule, FindsALostDone) {
  expect_found("lost Done", 2, Bug::kLostDone, "the runs do not end: everybody waits");
}
TEST(Schedule, FindsADoubleClaim) {
  expect_found("double claim", 12, Bug::kDoubleClaim, "a tile ran twice in a run");
}
TEST(Schedule, FindsAPoolDeadlock) {
  expect_found("pool deadlock", 12, Bug::kPoolDeadlock, "the runs do not end: everybody waits");
}
TEST(Schedule, FindsALostStop) {
  expect_found("lost Stop", 2, Bug::kStopLost, "a sphere was not stopped");
}

}  // namespace
}  // namespace cllm
