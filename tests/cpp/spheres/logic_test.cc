// These tests check what sleepers wait for, and the logic of messages as pure functions.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "sphere_fixture.h"
#include "spheres/lanes.h"
#include "spheres/sphere.h"

namespace cllm {
namespace {

using std::chrono::seconds;

TEST(EventCount, WakesWhoSleepsOnIt) {
  const Watchdog watchdog("sleepers on an event", seconds(60));
  EventCount<> event;
  std::atomic<int> turn{0};
  std::thread sleepers[3];
  for (std::thread& t : sleepers) {
    t = std::thread([&] {
      for (int seen = 0; seen < 2000;) {
        const std::uint32_t observed = event.prepare();
        if (turn > seen) {
          event.cancel();
          seen = turn;
        } else {
          event.wait(observed);
        }
      }
    });
  }
  for (int t = 1; t <= 2000; ++t) {
    turn = t;
    event.notify(kWakeAll);
  }
  for (std::thread& t : sleepers) t.join();
  EXPECT_FALSE(event.has_waiters());
}

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
  explicit Stages(int workers) {
    for (Stage* stage : {&a, &b, &c}) stage->reset(workers);
  }
  void run_tile(int, const TileClaim&) override {}
  Stage a{{}, {0}, *this}, b{{}, {0}, *this}, c{{}, {0}, *this};
};

TEST(ChildLinks, OneWorkAtATimeAndOnlyTheNewest) {
  Stages s(4);
  ChildLinks links(7, {{8, 0}, {9, 3}});
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

TEST(ChildLinks, FewerWorkersFewerChildren) {
  Stages s(4);
  s.a.reset(3);
  ChildLinks links(7, {{8, 0}, {9, 3}});
  Outbox out;
  links.send_work(&s.a, out);
  EXPECT_EQ(taken(out, 7), (std::vector<Sent>{{8, MessageKind::kWork, &s.a}}));
  links.send_work(&s.b, out);
  EXPECT_EQ(taken(out, 7), (std::vector<Sent>{{9, MessageKind::kWork, &s.b}})) << "8 is busy";
  links.send_work(&s.c, out);
  links.send_work(&s.a, out);
  EXPECT_TRUE(out.empty()) << "both are busy";
  links.on_idle(9, out);
  EXPECT_TRUE(out.empty()) << "c lapsed, and 9 has no part in what came after it";
  links.on_idle(8, out);
  EXPECT_EQ(taken(out, 7), (std::vector<Sent>{{8, MessageKind::kWork, &s.a}}));
}

TEST(ChildLinks, NobodyActiveNobodyAsked) {
  Stages s(0);
  ChildLinks links(0, {{1, 0}, {2, 1}});
  Outbox out;
  links.send_work(&s.a, out);
  EXPECT_TRUE(out.empty());
}

TEST(ControlLogic, PassesMessagesOn) {
  Stages s(6);
  ControlLogic control(3, 0, {{10, 4}, {11, 5}, {12, 6}});
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

/// One job of two tiles that the root opens, on a worker of sphere 5 below sphere 2.
struct OneJob : TileRunner, Conductor {
  static JobPlan plan() {
    JobPlan plan;
    plan.phases = {{1, {}}, {1, {0}}};
    plan.reports = true;
    return plan;
  }
  void run_tile(int, const TileClaim&) override {}
  void begin(Stage& s) override { s.arrive(0); }
  bool on_done(Stage&, int job) override { return job == 0; }
  Stage stage{{plan()}, {0, 0}, *this};
};

struct NoTiles final : TileRunner {
  void run_tile(int, const TileClaim&) override {}
};

// Jobs 0, 2, 4 share one memory, 1 and 3 another. Who ends one goes on in the same, though the
// other lane's next job stands before it.
TEST(Lanes, HaveOneJobAtATimeAndKeepTheirWorker) {
  std::vector<JobPlan> jobs(5);
  for (JobPlan& job : jobs) job.phases = {{2, {}}};
  chain_lanes(jobs, 5, 2);
  NoTiles runner;
  Stage stage(jobs, {0, 0}, runner);
  stage.reset(2);
  for (int j = 0; j < 5; ++j) stage.arrive(j);

  const auto run = [&stage](int worker, int current) {
    const TileClaim claim = stage.claim(worker, current);
    stage.finish(claim);
    return claim.job;
  };
  EXPECT_EQ(run(1, -1), 1);
  EXPECT_EQ(run(0, -1), 0);
  EXPECT_EQ(run(1, 1), 1);
  EXPECT_EQ(run(0, 0), 0);  // now 2 and 3 are open
  EXPECT_EQ(run(1, 1), 3);
  EXPECT_EQ(run(0, 0), 2);
  const TileClaim last = stage.claim(0, 2);
  EXPECT_EQ(last.job, 2);
  EXPECT_EQ(run(1, 3), 3);
  EXPECT_FALSE(stage.claim(1, 3)) << "the job before 4 in its lane has not ended";
  stage.finish(last);
  EXPECT_EQ(run(1, 3), 4) << "whoever is free";
  EXPECT_EQ(run(0, 2), 4);
  EXPECT_TRUE(stage.finished());
}

// Of four parts of the rows each of two workers has two, however many take part in the run. Who has
// gone to another job has none.
TEST(Strands, AreDealtAmongThoseWhoAreThere) {
  std::vector<JobPlan> jobs(2);
  jobs[0].phases = {{2, {}, 1}, {2, {}, 2}, {2, {}, 3}, {2, {}, 4}};
  jobs[1].phases = {{1, {}}};
  NoTiles runner;
  for (const int workers : {2, 64, 1000}) {
    Stage stage(jobs, std::vector<int>(static_cast<std::size_t>(workers), 0), runner);
    stage.reset(workers);
    stage.arrive(0);
    const int last = workers - 1;
    EXPECT_EQ(stage.claim(0, -1).phase, 0);
    EXPECT_EQ(stage.claim(last, -1).phase, 2);
    EXPECT_EQ(stage.claim(0, 0).phase, 0);
    EXPECT_EQ(stage.claim(0, 0).phase, 1);
    stage.arrive(1);
    EXPECT_EQ(stage.claim(0, 1).job, 1);
    EXPECT_EQ(stage.claim(last, 0).phase, 2);
    EXPECT_EQ(stage.claim(last, 0).phase, 3) << "its own before what comes first";
    EXPECT_EQ(stage.claim(0, 1).job, 0);
  }
}

TEST(RootAndWorker, RunAStageByMessages) {
  OneJob step;
  RootLogic root({{2, 0}});
  WorkerLogic worker(5, 2, 0), other(6, 2, 1);
  Outbox out;
  EXPECT_EQ(worker.next(false, out), WorkerLogic::Move::kReceive);
  root.start(step.stage, step, 2, out);
  EXPECT_EQ(taken(out, 0), (std::vector<Sent>{{2, MessageKind::kWork, &step.stage}}));
  worker.handle({MessageKind::kWork, 2, &step.stage, -1});
  other.handle({MessageKind::kWork, 2, &step.stage, -1});

  ASSERT_EQ(worker.next(false, out), WorkerLogic::Move::kRun);
  EXPECT_EQ(worker.claim().phase, 0);
  ASSERT_EQ(other.next(false, out), WorkerLogic::Move::kWait) << "the second tile is not open";
  EXPECT_TRUE(other.fall_asleep());
  EXPECT_FALSE(step.stage.event().notified_since(other.observed()));
  worker.ran(out);
  EXPECT_TRUE(step.stage.event().notified_since(other.observed()));
  step.stage.event().cancel();  // it wakes
  ASSERT_EQ(other.next(false, out), WorkerLogic::Move::kRun);
  EXPECT_TRUE(out.empty());
  ASSERT_EQ(worker.next(false, out), WorkerLogic::Move::kReceive) << "no tile is left";
  EXPECT_EQ(taken(out, 5), (std::vector<Sent>{{2, MessageKind::kIdle, nullptr}}));
  other.ran(out);
  EXPECT_EQ(taken(out, 6), (std::vector<Sent>{{2, MessageKind::kDone, &step.stage}}));
  EXPECT_FALSE(root.handle({MessageKind::kIdle, 2, nullptr, -1}, out));
  EXPECT_TRUE(root.handle({MessageKind::kDone, 2, &step.stage, 0}, out));
  root.stop(out);
  EXPECT_EQ(taken(out, 0), (std::vector<Sent>{{2, MessageKind::kStop, nullptr}}));
  worker.handle({MessageKind::kStop, 2, nullptr, -1});
  EXPECT_EQ(worker.next(false, out), WorkerLogic::Move::kEnd);
}

TEST(RootAndWorker, ARootThatComputesSendsNothing) {
  OneJob step;
  Outbox out;
  RootLogic root({{2, 0}, {3, 1}});
  root.start(step.stage, step, 2, out);
  EXPECT_FALSE(root.is_alone());
  EXPECT_EQ(taken(out, 0), (std::vector<Sent>{{2, MessageKind::kWork, &step.stage},
                                              {3, MessageKind::kWork, &step.stage}}));
  root.start(step.stage, step, 2, out);  // both are busy: they get it when they say Idle
  root.start(step.stage, step, 0, out);
  EXPECT_TRUE(root.is_alone());
  for (int child : {2, 3}) EXPECT_FALSE(root.handle({MessageKind::kIdle, child, nullptr, -1}, out));
  EXPECT_TRUE(out.empty()) << "what was to come lapses";
}

// A worker that is still inside when the next run has begun without it must neither claim nor
// sleep: a wake that it took would be missing to one who takes part.
TEST(RootAndWorker, LeavesARunThatItHasNoPartIn) {
  OneJob step;
  step.stage.reset(2);
  WorkerLogic worker(6, 2, 1);
  Outbox out;
  worker.handle({MessageKind::kWork, 2, &step.stage, -1});
  EXPECT_EQ(worker.next(false, out), WorkerLogic::Move::kWait);
  EXPECT_TRUE(worker.fall_asleep());
  step.stage.event().cancel();
  step.stage.reset(1);
  EXPECT_FALSE(worker.fall_asleep());
  step.begin(step.stage);
  EXPECT_FALSE(worker.fall_asleep());
  EXPECT_EQ(worker.next(false, out), WorkerLogic::Move::kReceive);
  EXPECT_EQ(taken(out, 6), (std::vector<Sent>{{2, MessageKind::kIdle, nullptr}}));
}

TEST(RootAndWorker, LeavesTheStageForAMessage) {
  OneJob step;
  step.stage.reset(1);
  WorkerLogic worker(5, 2, 0);
  Outbox out;
  worker.handle({MessageKind::kWork, 2, &step.stage, -1});
  EXPECT_EQ(worker.next(false, out), WorkerLogic::Move::kWait);
  EXPECT_EQ(step.stage.outlook(), Stage::Outlook::kRoot);
  EXPECT_EQ(worker.next(true, out), WorkerLogic::Move::kReceive);
  EXPECT_EQ(taken(out, 5), (std::vector<Sent>{{2, MessageKind::kIdle, nullptr}}));
}

}  // namespace
}  // namespace cllm
