// One process at a time may open a run folder; a run notices when its folder is moved or removed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/files.h"
#include "checkpoint/run_folder.h"
#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Start = RunFolder::Start;

/// A process that holds a run until it is killed.
class Holder {
 public:
  explicit Holder(const std::string& run) {
    int ready[2];
    if (pipe(ready) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      try {
        const RunFolder folder(run, Start::kResumed);
        if (write(ready[1], "r", 1) == 1) pause();
      } catch (const std::exception&) {
      }
      _exit(1);
    }
    close(ready[1]);
    char byte = 0;
    holds_ = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() { stop(); }
  void stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  bool holds() const { return holds_; }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  bool holds_ = false;
};

class RunLockTest : public testing::Test {
 protected:
  RunLockTest() { fs::create_directory(run_); }
  std::string refusal(Start start = Start::kResumed) const {
    return message_of<InputError>([&] { RunFolder folder(run_, start); });
  }
  const TemporaryFolder root_;
  const std::string run_ = root_ / "run";
};

TEST_F(RunLockTest, AnotherProcessIsRefusedWhileItLivesAndNotAfter) {
  Holder holder(run_);
  ASSERT_TRUE(holder.holds());
  const std::string text = refusal();
  EXPECT_TRUE(has(text, run_ + ": the run is in use: got process ") &&
              has(text, std::to_string(holder.pid()) + " on ") && has(text, " since 20"))
      << text;
  EXPECT_TRUE(has(refusal(Start::kNew), "in use"));
  EXPECT_TRUE(has(message_of<InputError>([&] { check_new_run_folder(run_); }), "in use"));
  holder.stop();
  EXPECT_TRUE(fs::exists(run_ + "/.lock")) << "left by the killed one";
  EXPECT_EQ(message_of<InputError>([&] { check_new_run_folder(run_); }), "");
  EXPECT_EQ(refusal(), "") << "a stale lock holds nobody up";
}

TEST_F(RunLockTest, TwoOfOneProcessExcludeEachOther) {
  {
    const RunFolder first(run_, Start::kNew);
    EXPECT_TRUE(has(refusal(), "process " + std::to_string(getpid())));
  }
  EXPECT_EQ(refusal(), "");
  EXPECT_FALSE(fs::exists(run_ + "/.lock")) << "a run that ends removes its lock";
}

TEST_F(RunLockTest, AFileWithoutALockIsTaken) {
  for (const char* text : {"", "host elsewhere\npid 1\nstart 0\n", "\xff\xfe\x1b[2J", "pid x\n"}) {
    root_.file("run/.lock", text);
    EXPECT_EQ(refusal(), "") << text;
  }
}

TEST_F(RunLockTest, AForkedChildDoesNotEndTheLock) {
  RunFolder folder(run_, Start::kNew);
  const pid_t child = fork();
  if (child == 0) {
    folder.~RunFolder();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(has(refusal(), "in use"));
}

TEST_F(RunLockTest, OfManyNewRunsAtOnceOneBegins) {
  for (int round = 0; round < 20; ++round) {
    const std::string run = root_ / ("race-" + std::to_string(round));
    std::vector<std::thread> threads;
    std::atomic<int> begun{0}, refused{0}, others{0};
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        try {
          const RunFolder folder(run, Start::kNew);
          ++begun;
          folder.write_config("run " + std::to_string(i));
          write_file_durably(folder.path() + "/metrics.jsonl", "{\"step\":1}\n");
        } catch (const InputError&) {
          ++refused;
        } catch (const std::exception&) {
          ++others;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(begun, 1);
    EXPECT_EQ(refused, 3);
    EXPECT_EQ(others, 0);
  }
}

TEST_F(RunLockTest, ARemovedLockIsTakenAgain) {
  RunFolder folder(run_, Start::kNew);
  EXPECT_FALSE(folder.follow());
  fs::remove(run_ + "/.lock");
  EXPECT_FALSE(folder.follow());
  EXPECT_TRUE(has(refusal(), "in use"));
  fs::remove(run_ + "/.lock");
  const RunFolder thief(run_, Start::kResumed);
  EXPECT_TRUE(has(message_of<InputError>([&] { folder.follow(); }), "in use"));
}

TEST_F(RunLockTest, ARenamedFolderIsFollowedAndARemovedOneNoticed) {
  RunFolder folder(run_, Start::kNew);
  fs::rename(run_, root_ / "moved");
  fs::create_directory(run_);  // another folder has its name
  EXPECT_TRUE(folder.follow());
  EXPECT_EQ(folder.path(), root_ / "moved");
  EXPECT_FALSE(folder.follow());
  EXPECT_EQ(refusal(), "") << "the other folder is nobody's";
  EXPECT_TRUE(
      has(message_of<InputError>([&] { RunFolder(root_ / "moved", Start::kResumed); }), "in use"));
  EXPECT_FALSE(folder.removed());
  fs::remove_all(root_ / "moved");
  EXPECT_TRUE(folder.removed());
  EXPECT_FALSE(folder.follow());
}

TEST_F(RunLockTest, AFolderBelowALinkIsInPlace) {
  fs::create_directory_symlink(root_.path(), root_ / "link");
  RunFolder folder(root_ / "link/run", Start::kNew);
  EXPECT_FALSE(folder.follow());
  EXPECT_EQ(folder.path(), root_ / "link/run");
  fs::rename(run_, root_ / "moved");
  EXPECT_TRUE(folder.follow());
  EXPECT_EQ(folder.path(), fs::canonical(root_.path()).string() + "/moved");
}

TEST_F(RunLockTest, OurOwnBeginningsAreFree) {
  {
    const RunFolder begun(run_, Start::kNew);
  }
  root_.file("run/config.toml", "seed = 1\n");
  root_.file("run/config.toml.partial", "see");
  root_.file("run/metrics.jsonl", "");
  root_.file("run/.lock", "pid 1\n");
  fs::create_directories(run_ + "/checkpoints/.cllm-partial-step-00000001-7-0");
  fs::create_directories(run_ + "/.cllm-partial-final-7-0");
  fs::create_symlink("step-00000001", run_ + "/checkpoints/.latest-next");
  check_new_run_folder(run_);
  EXPECT_TRUE(fs::exists(run_ + "/.cllm-partial-final-7-0")) << "looking changes nothing";
  {
    const RunFolder again(run_, Start::kNew);
  }
  for (const char* name : {"/.cllm-partial-final-7-0", "/config.toml.partial", "/.lock",
                           "/checkpoints/.cllm-partial-step-00000001-7-0"}) {
    EXPECT_FALSE(fs::exists(run_ + name)) << name;
  }
  EXPECT_FALSE(fs::is_symlink(run_ + "/checkpoints/.latest-next"));
}

TEST_F(RunLockTest, WhatARunOrAUserMadeIsNotFree) {
  const auto refused = [&] {
    return has(message_of<InputError>([&] { check_new_run_folder(run_); }), "already used") &&
           has(refusal(Start::kNew), "already used");
  };
  root_.file("run/config.toml", "# mine\n");
  EXPECT_TRUE(refused()) << "a config.toml alone may be a user's";
  fs::create_directory(run_ + "/checkpoints");
  check_new_run_folder(run_);
  root_.file("run/metrics.jsonl", "{\"step\":1}\n");
  EXPECT_TRUE(refused()) << "steps were trained";
  fs::remove(run_ + "/metrics.jsonl");
  fs::create_directory(run_ + "/checkpoints/step-00000001");
  EXPECT_TRUE(refused());
  fs::remove(run_ + "/checkpoints/step-00000001");
  fs::create_directory(run_ + "/final");
  EXPECT_TRUE(refused());
  EXPECT_EQ(read_text_file(run_ + "/config.toml"), "# mine\n");
}

}  // namespace
}  // namespace cllm
