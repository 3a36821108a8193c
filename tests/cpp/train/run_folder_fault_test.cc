// Every call of opening a run folder fails or is the last before a crash. The next opening finds it
// free, and nothing stays behind. What an open run has made survives a power cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "checkpoint/run_folder.h"
#include "cllm/error.h"
#include "durability_audit.h"
#include "faulty_files.h"
#include "has.h"
#include "telemetry/json_lines.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Start = RunFolder::Start;

class RunFolderFault : public testing::Test {
 protected:
  void begin() const {
    check_new_run_folder(run_);
    const RunFolder folder(run_, Start::kNew);
    folder.write_config("seed = 1\n");
  }
  std::int64_t calls_of_a_beginning() {
    const FaultyFiles files({});
    begin();
    fs::remove_all(root_ / "deep");
    return files.calls();
  }
  /// A new run begins and leaves just what it should.
  void check_free(const std::string& what) {
    SCOPED_TRACE(what);
    const FaultyFiles quick({});
    EXPECT_EQ(message_of<Error>([&] { begin(); }), "");
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root_.path())) {
      names.push_back(fs::relative(entry.path(), root_.path()).string());
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"deep", "deep/run", "deep/run/checkpoints",
                                               "deep/run/config.toml"}));
    fs::remove_all(root_ / "deep");
  }

  const TemporaryFolder root_{memory_folder()};
  const std::string run_ = root_ / "deep/run";
};

TEST_F(RunFolderFault, AFailureAtEveryCallLeavesTheFolderFree) {
  const std::int64_t calls = calls_of_a_beginning();
  ASSERT_GT(calls, 40);
  for (const FileFault fault : {FileFault::kFail, FileFault::kFailFrom, FileFault::kShort}) {
    int failed = 0;
    for (const int code : {ENOSPC, EIO, EACCES}) {
      for (std::int64_t n = 0; n < calls; ++n) {
        std::string struck;
        {
          const FaultyFiles files({fault, n, code});
          const std::string text = message_of<Error>([&] { begin(); });
          failed += text.empty() ? 0 : 1;
          EXPECT_TRUE(text.empty() || has(text, root_.path())) << "which file? " << text;
          struck = files.struck();
        }
        check_free(struck + ", call " + std::to_string(n));
      }
    }
    EXPECT_TRUE(fault == FileFault::kShort ? failed == 0 : failed > calls / 2) << failed;
  }
}

TEST_F(RunFolderFault, ACrashAfterEveryCallLeavesTheFolderFree) {
  const std::int64_t calls = calls_of_a_beginning();
  for (const FileFault fault : {FileFault::kCrash, FileFault::kTornCrash}) {
    for (std::int64_t n = 0; n < calls; ++n) {
      ASSERT_EQ(crash_in_child({fault, n}, [&] { begin(); }), kCrashed) << n;
      check_free("crash after call " + std::to_string(n));
    }
  }
}

TEST_F(RunFolderFault, ARunThatIsBeingReplacedCanBeReplacedAgain) {
  const auto replace = [&] { RunFolder(run_, Start::kReplaced); };
  const auto make_run = [&] {
    const FaultyFiles quick({});
    fs::remove_all(run_);
    begin();
    for (const char* name : {"final", "checkpoints/step-00000001", "checkpoints/step-00000002"}) {
      fs::create_directories(fs::path(run_) / name);
      write_file_durably(run_ + "/" + name + "/model.safetensors", "weights");
    }
    write_file_durably(run_ + "/metrics.jsonl", "{}\n");
    write_file_durably(run_ + "/mine.txt", "mine");
  };
  make_run();
  std::int64_t calls = 0;
  {
    const FaultyFiles files({});
    replace();
    calls = files.calls();
  }
  ASSERT_GT(calls, 20);
  for (const FileFault fault : {FileFault::kFail, FileFault::kCrash}) {
    for (std::int64_t n = 0; n < calls; ++n) {
      make_run();
      if (fault == FileFault::kCrash) {
        crash_in_child({fault, n}, replace);
      } else {
        const FaultyFiles files({fault, n, EIO});
        message_of<Error>(replace);
      }
      SCOPED_TRACE("call " + std::to_string(n));
      const FaultyFiles quick({});
      fs::remove(fs::path(run_) / ".lock");
      EXPECT_EQ(message_of<Error>(replace), "");
      EXPECT_TRUE(fs::is_empty(fs::path(run_) / "checkpoints"));
      EXPECT_FALSE(fs::exists(fs::path(run_) / "final"));
      EXPECT_FALSE(fs::exists(fs::path(run_) / "metrics.jsonl"));
      EXPECT_EQ(read_text_file(run_ + "/mine.txt"), "mine");
    }
  }
}

TEST_F(RunFolderFault, WithoutLocksOfTheKernelTheFileIsTheLock) {
  const FaultyFiles files({FileFault::kFailFrom, 0, ENOLCK, "flock"});
  const auto refusal = [&] {
    return message_of<InputError>([&] { RunFolder folder(run_, Start::kResumed); });
  };
  {
    const RunFolder folder(run_, Start::kNew);
    EXPECT_TRUE(has(refusal(), "in use: got process " + std::to_string(getpid()))) << refusal();
    EXPECT_TRUE(has(message_of<InputError>([&] { check_new_run_folder(run_); }), "in use"));
  }
  EXPECT_EQ(refusal(), "") << "it ended";

  ASSERT_EQ(crash_in_child({FileFault::kNone},
                           [&] {
                             const FaultyFiles again({FileFault::kFailFrom, 0, ENOLCK, "flock"});
                             const RunFolder folder(run_, Start::kResumed);
                             _exit(kCrashed);
                           }),
            kCrashed);
  EXPECT_TRUE(fs::exists(run_ + "/.lock"));
  EXPECT_EQ(refusal(), "") << "its process is gone from this machine";

  root_.file("deep/run/.lock", "host elsewhere\nboot 1\npid 1\nstart 1\nsince then\n");
  const std::string text = refusal();
  EXPECT_TRUE(has(text, "process 1 on elsewhere since then") &&
              has(text, "remove " + run_ + "/.lock"))
      << text;
}

TEST_F(RunFolderFault, AFullDiskDoesNotKeepARunFromItsLock) {
  fs::create_directories(run_);
  const FaultyFiles files({FileFault::kFailFrom, 0, ENOSPC, "write"});
  const RunFolder folder(run_, Start::kNew);
  EXPECT_TRUE(has(message_of<InputError>([&] { RunFolder second(run_, Start::kNew); }),
                  "got another process"));
}

TEST_F(RunFolderFault, WhatAnOpenRunMadeSurvivesAPowerCut) {
  const DurabilityAudit audit;
  RunFolder folder(run_, Start::kNew);
  folder.write_config("seed = 1\n");
  std::vector<std::string> lost = audit.at_risk();
  lost.erase(std::remove(lost.begin(), lost.end(), "bytes of " + run_ + "/.lock"), lost.end());
  EXPECT_EQ(lost, std::vector<std::string>{}) << "the lock's words alone may go";

  const std::string metrics = run_ + "/metrics.jsonl";
  JsonLines lines(metrics);
  lines.write(StepReport());
  EXPECT_TRUE(has(testing::PrintToString(audit.at_risk()), "bytes of " + metrics));
  lines.flush();
  EXPECT_FALSE(has(testing::PrintToString(audit.at_risk()), metrics));
  truncate_after_step(metrics, 0);
  EXPECT_FALSE(has(testing::PrintToString(audit.at_risk()), metrics));
}

}  // namespace
}  // namespace cllm
