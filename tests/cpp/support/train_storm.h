// Runs are killed at any of their file calls, or meet a failing disk, and continue. Their answer
// must be that of an undisturbed run, and nothing else may be left behind.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/manifest.h"
#include "checkpoint/run_folder.h"
#include "cllm/error.h"
#include "cllm/trainer.h"
#include "faulty_files.h"
#include "has.h"
#include "stormed_run.h"

namespace cllm {

class TrainStorm {
 public:
  explicit TrainStorm(Stormed what = Stormed::kText) : run_(what, root_) {
    const int code = crash_in_child({}, [&] {
      const FaultyFiles files({});
      Steps steps;
      train(root_ / "calm", 1, &steps);
      std::ofstream(root_ / "calls") << files.calls();
    });
    EXPECT_EQ(code, 0);
    std::ifstream(root_ / "calls") >> calls_;
    weights_ = read_text_file(root_ / "calm" + run_.weights_file());
    losses_ = losses(root_ / "calm");
  }

  /// Kills runs `kills` times, each run again and again until it is done. Every `failing`-th child
  /// meets a failing disk instead.
  void rage(int kills, int failing, std::uint64_t seed) {
    ASSERT_GT(calls_, 200);
    std::mt19937_64 random(seed);
    int killed = 0, failed = 0, finished = 0, run = 0;
    bool fresh = true;
    for (int child = 0; killed < kills || !fresh; ++child) {
      ASSERT_LT(child, 40 * kills) << "runs make no headway";
      const std::string folder = root_ / ("run-" + std::to_string(run));
      FaultPlan plan;
      // Calls are struck in turn over all calls of a run, and at random.
      plan.at = static_cast<std::int64_t>(child % 2 == 0
                                              ? static_cast<std::uint64_t>(child) * 7919 % calls_u()
                                              : random() % calls_u());
      if (killed >= kills) {
        plan.fault = FileFault::kNone;
      } else if (failing > 0 && child % failing == failing - 1) {
        plan.fault = random() % 3 == 0 ? FileFault::kShort : FileFault::kFail;
        plan.code = random() % 2 == 0 ? ENOSPC : EIO;
      } else {
        plan.fault = random() % 2 == 0 ? FileFault::kCrash : FileFault::kTornCrash;
      }
      const int workers = 1 + static_cast<int>(random() % 4);
      SCOPED_TRACE("child " + std::to_string(child) + ", call " + std::to_string(plan.at) +
                   ", fault " + std::to_string(static_cast<int>(plan.fault)));
      const int code = crash_in_child(plan, [&] { go_on(folder, workers, plan); });
      killed += code == kCrashed ? 1 : 0;
      failed += code == 1 ? 1 : 0;
      ASSERT_TRUE(code == 0 || code == kCrashed || (code == 1 && plan.fault == FileFault::kFail))
          << "exit code " << code;
      check_checkpoints(folder);
      fresh = code == 0;
      if (code != 0) continue;
      // Leftovers that a failing disk kept are cleared when the run is opened again.
      if (plan.fault == FileFault::kFail) RunFolder(folder, RunFolder::Start::kResumed);
      check_finished(folder);
      std::filesystem::remove_all(folder);
      ++run;
      ++finished;
    }
    std::printf("%d kills, %d failures, %d runs finished, %lld calls a run\n", killed, failed,
                finished, static_cast<long long>(calls_));
    EXPECT_GT(finished, 0);
  }

 private:
  std::uint64_t calls_u() const { return static_cast<std::uint64_t>(calls_); }

  /// Remembers how far a run has come.
  struct Steps final : TrainObserver {
    void on_step(const StepReport& report) override { last = report.step; }
    std::int64_t last = -1;
  };
  void train(const std::string& folder, int workers, Steps* steps, bool resume = false) const {
    TrainConfig c = run_.config(folder, workers);
    if (resume) c.resume = folder;
    Trainer(c).run(*steps);
  }
  /// Does what a user does: the same command, and --resume when that says that the folder is used.
  /// A failing disk may end a run before its first step and after its last; between them only a
  /// failure of its data may.
  void go_on(const std::string& folder, int workers, const FaultPlan& plan) const {
    Steps steps;
    try {
      try {
        train(folder, workers, &steps);
      } catch (const InputError& error) {
        if (!has(error.what(), "already used")) throw;
        train(folder, workers, &steps, true);
      }
    } catch (const std::exception& error) {
      const std::string text = error.what();
      const bool said = has(text, root_.path()) && text.find('\n') == std::string::npos;
      const bool may_end =
          steps.last == -1 || steps.last == StormedRun::kSteps || has(text, run_.data());
      if (plan.fault != FileFault::kFail || !said || !may_end) {
        std::fprintf(stderr, "a run failed after step %lld: %s\n",
                     static_cast<long long>(steps.last), text.c_str());
        _exit(99);
      }
      throw;
    }
  }

  /// Checks that whatever looks like a checkpoint is whole.
  static void check_checkpoints(const std::string& folder) {
    std::vector<UnusableCheckpoint> unusable;
    for (const FoundCheckpoint& found : find_checkpoints(folder, &unusable)) {
      EXPECT_EQ(message_of<Error>([&] { EXPECT_TRUE(verify_folder(found.folder)); }), "");
    }
    for (const UnusableCheckpoint& u : unusable) ADD_FAILURE() << u.folder << ": " << u.why;
  }
  void check_finished(const std::string& folder) const {
    EXPECT_TRUE(read_text_file(folder + run_.weights_file()) == weights_)
        << "the weights are others";
    EXPECT_EQ(losses(folder), losses_) << "a step is missing, twice, or another";
    EXPECT_EQ(names(folder), names(root_ / "calm")) << "litter";
    // Which steps are there depends on which saves succeeded; there may be nothing but checkpoints.
    for (const std::string& name : names(folder + "/checkpoints")) {
      EXPECT_TRUE(name == "latest" || name.rfind("step-", 0) == 0) << "litter: " << name;
    }
  }
  static std::vector<std::string> names(const std::string& folder) {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      all.push_back(entry.path().filename().string());
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  /// Returns "step":N and "loss":X or "val_loss":X of every line of metrics.jsonl.
  static std::vector<std::string> losses(const std::string& folder) {
    std::vector<std::string> all;
    std::ifstream in(folder + "/metrics.jsonl");
    for (std::string line; std::getline(in, line);) {
      const auto value = [&line](const char* key) {
        const std::size_t at = line.find(key);
        if (at == std::string::npos) return std::string();
        return line.substr(at, line.find_first_of(",}", at) - at);
      };
      all.push_back(value("\"step\":") + " " + value("loss\":"));
    }
    // A save comes before or after an evaluation of its step; the order of those lines does not
    // matter.
    std::sort(all.begin(), all.end());
    return all;
  }

  const TemporaryFolder root_{memory_folder()};
  const StormedRun run_;
  std::string weights_;
  std::vector<std::string> losses_;
  std::int64_t calls_ = 0;
};

}  // namespace cllm
