// These tests check progress lines: their words, what fits on a terminal, how often they come.
#include "cllm/progress.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "telemetry/progress_text.h"

namespace cllm {
namespace {

TEST(ProgressText, Durations) {
  EXPECT_EQ(duration_text(0), "0:00");
  EXPECT_EQ(duration_text(7.4), "0:07");
  EXPECT_EQ(duration_text(59.6), "1:00");
  EXPECT_EQ(duration_text(754), "12:34");
  EXPECT_EQ(duration_text(3599.4), "59:59");
  EXPECT_EQ(duration_text(3600), "1:00:00");
  EXPECT_EQ(duration_text(12345), "3:25:45");
  EXPECT_EQ(duration_text(86400 * 2 + 3 * 3600 + 25 * 60), "2d 03:25");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(std::nan("")), "?");
  EXPECT_EQ(duration_text(INFINITY), "?");
}

TEST(ProgressText, Rates) {
  EXPECT_EQ(rate_text(0), "0.00");
  EXPECT_EQ(rate_text(9.994), "9.99");
  EXPECT_EQ(rate_text(9.996), "10.0");
  EXPECT_EQ(rate_text(99.96), "100");
  EXPECT_EQ(rate_text(812.3), "812");
  EXPECT_EQ(rate_text(999.6), "1.00k");
  EXPECT_EQ(rate_text(81234), "81.2k");
  EXPECT_EQ(rate_text(1.236e6), "1.24M");
  EXPECT_EQ(rate_text(std::nan("")), "?");
}

StepReport some_step(std::int64_t step) {
  StepReport r;
  r.step = step;
  r.epoch = 0.25;
  r.loss = 2.45129;
  r.learning_rate = 1e-3;
  r.milliseconds = 10;
  r.tokens_per_second = 81234;
  r.gflops = 401;
  r.mfu = 0.62;
  return r;
}

TEST(ProgressText, Counts) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(7), "7");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1.00k");
  EXPECT_EQ(count_text(111539), "112k");
}

TEST(ProgressText, StepHasEveryPart) {
  EXPECT_EQ(step_text(some_step(50), 2000, 12, 224, 0),
            "step   50/2000  epoch 0.25  loss 2.4513  lr 1.00e-03  81.2k tok/s  401 GFLOP/s  "
            "MFU 62%  0:12  ETA 3:44");
}

TEST(ProgressText, NarrowLinesKeepWhatMattersMost) {
  for (int columns = 27; columns < 120; ++columns) {
    const std::string text = step_text(some_step(50), 2000, 12, 224, columns);
    EXPECT_LE(text.size(), static_cast<std::size_t>(columns));
    EXPECT_EQ(text.find("step   50/2000"), 0u);
    EXPECT_NE(text.find("loss 2.4513"), std::string::npos);
  }
  EXPECT_EQ(step_text(some_step(50), 2000, 12, 224, 40), "step   50/2000  loss 2.4513  ETA 3:44");
  EXPECT_EQ(step_text(some_step(50), 2000, 12, 224, 5), "step   50/2000  loss 2.4513");
}

TEST(ProgressText, UnknownPeakAndBytesAreLeftOut) {
  StepReport r = some_step(50);
  r.mfu = 0;
  EXPECT_EQ(step_text(r, 2000, 12, 224, 0).find("MFU"), std::string::npos);
  EXPECT_EQ(evaluation_text({250, 1.5, 2.25, 28800, 111539}),
            "step 250  validation loss 1.5000  2.2500 bits/byte  (28.8k of 112k tokens)");
  EXPECT_EQ(evaluation_text({250, 1.5, 0, 74, 74}),
            "step 250  validation loss 1.5000  (all 74 tokens)");
}

TEST(ProgressText, TheEndSaysWhatCameOutAndWhereTheTimeWent) {
  RunReport r;
  r.step = 2000;
  r.model = "run/final";
  r.starting_seconds = 0.5, r.training_seconds = 23.0;
  r.validation_seconds = 1.1, r.saving_seconds = 0.4;
  EXPECT_EQ(end_text(r),
            "done    2,000 steps\n"
            "time    training 23.0 s (92 %), validation 1.1 s, saving 0.4 s, starting 0.5 s\n"
            "model   run/final");
  r.best_model = "run/checkpoints/best", r.best_step = 1250, r.best_loss = 1.71234;
  EXPECT_EQ(end_text(r).substr(end_text(r).find("best")),
            "best    run/checkpoints/best, of step 1,250: validation loss 1.7123");
  r.step = 1, r.evaluated = true, r.validation_loss = 1.88431, r.bits_per_byte = 2.71849;
  EXPECT_EQ(end_text(r).substr(0, 56), "done    1 step, validation loss 1.8843, 2.7185 bits/byte");
}

/// A terminal or a file with a clock of its own.
struct Screen {
  std::string text;
  int columns = 0;
  double now = 100;

  ProgressOutput output() {
    return {[this](std::string_view t) { text += t; }, [this] { return columns; },
            [this] { return now; }};
  }
  int count(const std::string& part) const {
    int n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
      ++n;
    }
    return n;
  }
};

void run_steps(Progress& progress, Screen& screen, int first, int last, double seconds) {
  for (int step = first; step <= last; ++step) {
    screen.now += seconds;
    progress.on_step(some_step(step));
  }
}

TEST(Progress, PlainLinesComeAboutTwentyTimesARun) {
  Screen screen;
  Progress progress({0, 2000, -1, false}, screen.output());
  progress.on_start("two\nlines");
  run_steps(progress, screen, 1, 2000, 0.01);
  EXPECT_EQ(screen.text.find("two\nlines\n"), 0u);
  EXPECT_EQ(screen.count("\nstep "), 21);  // the first, then every hundredth
  EXPECT_EQ(screen.count("\r"), 0);
  EXPECT_EQ(screen.count("step 2000/2000"), 1);
  EXPECT_NE(screen.text.find("0:01  ETA 0:19\n"), std::string::npos) << screen.text;
}

TEST(Progress, SlowStepsBreakTheSilence) {
  Screen screen;
  Progress progress({0, 2000, -1, false}, screen.output());
  progress.on_start("start");
  run_steps(progress, screen, 1, 9, 10);
  EXPECT_EQ(screen.count("\nstep "), 3) << screen.text;  // steps 1, 4 and 7
}

TEST(Progress, IntervalIsObeyedAndZeroMeansNever) {
  Screen screen;
  {
    Progress progress({0, 100, 7, false}, screen.output());
    progress.on_start("start");
    run_steps(progress, screen, 1, 100, 60);
    EXPECT_EQ(screen.count("\nstep "), 14);
  }
  Screen silent;
  Progress progress({0, 100, 0, false}, silent.output());
  progress.on_start("start");
  run_steps(progress, silent, 1, 100, 60);
  EXPECT_EQ(silent.text, "start\n");
}

TEST(Progress, TerminalHasOneLineThatIsDrawnTenTimesASecond) {
  Screen screen;
  screen.columns = 60;
  {
    Progress progress({0, 2000, -1, false}, screen.output());
    progress.on_start("start");
    run_steps(progress, screen, 1, 1000, 0.01);
    EXPECT_EQ(screen.count("\n"), 1);
    const int drawn = screen.count("\rstep") - 1;
    EXPECT_GE(drawn, 85);
    EXPECT_LE(drawn, 100);
    progress.on_evaluation({1000, 1.5, 0, 64, 999});
    EXPECT_EQ(screen.count("\rstep 1000  validation loss 1.5000  (64 of 999 tokens)\n"), 1);
    screen.text.clear();
    run_steps(progress, screen, 1001, 1001, 0.001);
    EXPECT_EQ(screen.text.find("\rstep 1001/2000"), 0u) << "the live line comes back at once";
  }
  EXPECT_EQ(screen.text.back(), '\r') << "the live line is taken away";
}

TEST(Progress, ResumedRunCountsItsOwnSteps) {
  Screen screen;
  Progress progress({1000, 2000, 500, false}, screen.output());
  progress.on_start("start");
  run_steps(progress, screen, 1001, 1500, 0.1);
  EXPECT_NE(screen.text.find("step 1500/2000"), std::string::npos);
  EXPECT_NE(screen.text.find("0:50  ETA 0:50\n"), std::string::npos) << screen.text;
}

TEST(Progress, RatesAreMeansSinceTheLastLine) {
  Screen screen;
  Progress progress({0, 4, 2, false}, screen.output());
  StepReport fast = some_step(1), slow = some_step(2);
  fast.milliseconds = 1, fast.tokens_per_second = 4000;
  slow.milliseconds = 3, slow.tokens_per_second = 2000;
  progress.on_step(fast);
  progress.on_step(slow);
  EXPECT_NE(screen.text.find("2.50k tok/s"), std::string::npos) << screen.text;
}

TEST(Progress, SkippedStepsAreCountedAndSaidMoreAndMoreRarely) {
  Screen screen;
  {
    Progress progress({0, 1000, 0, false}, screen.output());
    StepReport r = some_step(1);
    for (int step = 1; step <= 300; ++step) {
      r.step = step;
      r.skipped = step % 2 == 0;
      r.trained_tokens = step > 100 ? 0 : 64;
      progress.on_step(r);
    }
    EXPECT_EQ(screen.count("update skipped"), 3) << screen.text;
    EXPECT_EQ(screen.count("step 2: update skipped"), 1);
    EXPECT_EQ(screen.count("step 20: update skipped"), 1);
    EXPECT_EQ(screen.count("(100 so far)"), 1);
    EXPECT_EQ(screen.count("is not finite"), 2);
    EXPECT_EQ(screen.count("step 200: update skipped, there was no target to learn from"), 1);
  }
  EXPECT_EQ(screen.count("150 updates were skipped in this run"), 1) << screen.text;
}

TEST(Progress, NamesTheRunFolderAsTheUserDid) {
  Screen screen;
  {
    Progress progress({0, 10, 0, false, "runs/one"}, screen.output());
    const std::string place = std::filesystem::current_path() / "runs/one";
    progress.on_checkpoint(place + "/final");
    progress.on_checkpoint(place + "-two/final");
  }
  EXPECT_EQ(screen.count("saved runs/one/final\n"), 1) << screen.text;
  EXPECT_EQ(screen.count("saved /"), 1) << screen.text;
}

TEST(Progress, QuietPrintsNothing) {
  Screen screen;
  screen.columns = 80;
  {
    Progress progress({0, 10, 1, true}, screen.output());
    progress.on_start("start");
    progress.on_note("note");
    run_steps(progress, screen, 1, 10, 60);
    progress.on_evaluation({10, 1, 1, 5, 5});
    progress.on_checkpoint("folder");
    progress.on_end({});
  }
  EXPECT_EQ(screen.text, "");
}

}  // namespace
}  // namespace cllm
