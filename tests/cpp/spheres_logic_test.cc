// A job's words by themselves, and the logic of messages as pure functions.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "sphere_fixture.h"
#include "spheres/sphere.h"

namespace cllm {
namespace {

using std::chrono::seconds;

// -- jobs ---------------------------------------------------------------------------------------

TEST(Job, GoesThroughItsPhases) {
  JobPlan plan;
  plan.tiles = {2, 1};
  plan.arrivals = 2;
  Job job;
  job.bind(plan);
  for (int round = 0; round < 3; ++round) {
    job.reset();
    EXPECT_EQ(job.state(), Job::State::kClosed);
    EXPECT_EQ(job.claim().phase, 0);
    job.arrive();
    EXPECT_EQ(job.state(), Job::State::kClosed) << "one arrival is missing";
    job.arrive();
    EXPECT_EQ(job.state(), Job::State::kOpen);
    EXPECT_TRUE(job.untouched());
    EXPECT_EQ(job.claim().tile, 0);
    EXPECT_FALSE(job.untouched());
    EXPECT_EQ(job.claim().tile, 1);
    EXPECT_EQ(job.claim().phase, 0) << "no third tile";
    EXPECT_FALSE(job.finish_tile(1));
    EXPECT_EQ(job.claim().phase, 0) << "phase 2 is not open before phase 1 is done";
    EXPECT_FALSE(job.finish_tile(1));
    const Job::Ticket last = job.claim();
    EXPECT_EQ(last.phase, 2);
    EXPECT_EQ(last.tile, 0);
    EXPECT_TRUE(job.finish_tile(2));
    job.close();
    EXPECT_EQ(job.state(), Job::State::kFinished);
    EXPECT_EQ(job.claim().phase, 0);
  }
}

TEST(Job, AbandonedStaysFinished) {
  JobPlan plan;
  plan.tiles = {1};
  Job closed, open;
  closed.bind(plan);
  open.bind(plan);
  closed.reset();
  open.reset();
  open.arrive();
  closed.abandon();
  open.abandon();
  EXPECT_EQ(closed.state(), Job::State::kFinished);
  closed.arrive();
  EXPECT_EQ(closed.state(), Job::State::kFinished) << "a late arrival does not open it";
  EXPECT_EQ(open.state(), Job::State::kOpen) << "what is open goes on to its end";
  closed.reset();
  closed.arrive();
  EXPECT_EQ(closed.state(), Job::State::kOpen);
}

TEST(Job, WakesWhoSleepsOnIt) {
  const Watchdog watchdog("sleepers on a job", seconds(60));
  JobPlan plan;
  plan.tiles = {1, 1};
  Job job;
  job.bind(plan);
  const auto sleep_through = [&job](Job::State state) {
    for (;;) {
      const std::uint64_t observed = job.observe();
      if (job.state() != state) return;
      job.park(observed);
    }
  };
  for (int round = 0; round < 2000; ++round) {
    job.reset();
    std::thread sleepers[2];
    if (round % 20 == 0) {  // threads are slow to make: most rounds go on with no sleeper
      for (std::thread& t : sleepers) {
        t = std::thread([&] {
          sleep_through(Job::State::kClosed);
          sleep_through(Job::State::kOpen);
        });
      }
    }
    if (round % 40 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    job.arrive();
    for (int phase = 1; phase <= 2; ++phase) {
      ASSERT_EQ(job.claim().phase, phase);
      if (job.finish_tile(phase)) job.close();
    }
    for (std::thread& t : sleepers) {
      if (t.joinable()) t.join();
    }
  }
}

// -- messages as pure functions -----------------------------------------------------------------

struct Sent {
  std::int32_t to;
  MessageKind kind;
  const Stage* stage;
  bool operator==(const Sent& o) const { return to == o.to && kind == o.kind && stage == o.stage; }
};

std::vector<Sent> taken(Outbox& out, int from) {
  std::vector<Sent> sent;
  for (const Outgoing& o : out) {
    EXPECT_EQ(o.message.from, from);
    sent.push_back({o.to, o.message.kind, o.message.stage});
  }
  out.clear();
  return sent;
}

/// Stages that are compared and never looked into.
struct Stages : TileRunner {
  void run_tile(int, const TileClaim&) override {}
  Stage a{{}, {0}, *this}, b{{}, {0}, *this}, c{{}, {0}, *this};
};

TEST(ChildLinks, OneWorkAtATimeAndOnlyTheNewest) {
  Stages s;
  ChildLinks links(7, {8, 9});
  Outbox out;
  links.send_work(&s.a, out);
  EXPECT_EQ(taken(out, 7),
            (std::vector<Sent>{{8, MessageKind::kWork, &s.a}, {9, MessageKind::kWork, &s.a}}));
  links.on_idle(9, out);
  EXPECT_TRUE(out.empty());
  links.send_work(&s.b, out);
  EXPECT_EQ(taken(out, 7), (std::vector<Sent>{{9, MessageKind::kWork, &s.b}})) << "8 is busy";
  links.send_work(&s.c, out);
  EXPECT_TRUE(out.empty());
  links.on_idle(8, out);
  EXPECT_EQ(taken(out, 7), (std::vector<Sent>{{8, MessageKind::kWork, &s.c}})) << "b lapsed";
  links.on_idle(8, out);
  links.on_idle(9, out);
  EXPECT_EQ(taken(out, 7), (std::vector<Sent>{{9, MessageKind::kWork, &s.c}}));
  links.on_idle(9, out);
  links.send_work(&s.a, out);
  EXPECT_EQ(taken(out, 7).size(), 2u) << "both are free again";
}

TEST(ChildLinks, NobodyActiveNobodyAsked) {
  Stages s;
  ChildLinks links(0, {});
  Outbox out;
  links.send_work(&s.a, out);
  EXPECT_TRUE(out.empty());
}

TEST(ControlLogic, PassesMessagesOn) {
  Stages s;
  ControlLogic control(3, 0, {10, 11, 12}, {10, 11});
  Outbox out;
  EXPECT_TRUE(control.handle({MessageKind::kWork, 0, &s.a, -1}, out));
  EXPECT_EQ(taken(out, 3), (std::vector<Sent>{{10, MessageKind::kWork, &s.a},
                                              {11, MessageKind::kWork, &s.a},
                                              {0, MessageKind::kIdle, nullptr}}));
  EXPECT_TRUE(control.handle({MessageKind::kDone, 11, &s.a, 5}, out));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].message.job, 5);
  EXPECT_EQ(taken(out, 3), (std::vector<Sent>{{0, MessageKind::kDone, &s.a}}));
  EXPECT_TRUE(control.handle({MessageKind::kWork, 0, &s.b, -1}, out));
  EXPECT_EQ(taken(out, 3), (std::vector<Sent>{{0, MessageKind::kIdle, nullptr}}));
  EXPECT_TRUE(control.handle({MessageKind::kIdle, 10, nullptr, -1}, out));
  EXPECT_EQ(taken(out, 3), (std::vector<Sent>{{10, MessageKind::kWork, &s.b}}));
  EXPECT_FALSE(control.handle({MessageKind::kStop, 0, nullptr, -1}, out));
  EXPECT_EQ(taken(out, 3), (std::vector<Sent>{{10, MessageKind::kStop, nullptr},
                                              {11, MessageKind::kStop, nullptr},
                                              {12, MessageKind::kStop, nullptr}}))
      << "idle children are stopped too";
}

}  // namespace
}  // namespace cllm
