// Every call of a save fails, is short, or is the last before a crash, in turn. The checkpoint
// before it still loads, nothing wrong does, and the next save leaves no litter.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <set>
#include <vector>

#include "base/files.h"
#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/manifest.h"
#include "checkpoint/partial_folder.h"
#include "cllm/error.h"
#include "durability_audit.h"
#include "faulty_files.h"
#include "has.h"
#include "moments.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

ModelConfig tiny() {
  ModelConfig model;
  model.layers = 1;
  model.heads = 1;
  model.width = 4;
  model.context = 4;
  model.vocabulary = 5;
  return model;
}

/// A run of checkpoints whose numbers all say their step: of models or, with `lora`, of adapters.
class SavedRun {
 public:
  explicit SavedRun(std::string path, const std::optional<LoraConfig>& lora = std::nullopt)
      : layout_(tiny(), false, lora),
        path_(std::move(path)),
        checkpoints_(path_ + "/checkpoints") {}

  /// What a trainer does at a checkpoint. Returns warnings.
  std::vector<std::string> save(std::int64_t step, std::int64_t keep) const {
    write(checkpoints_ + "/" + checkpoint_name(step), step);
    std::vector<std::string> warnings;
    const std::string link = update_latest_link(checkpoints_, checkpoint_name(step));
    if (!link.empty()) warnings.push_back(link);
    const PruneResult pruned = prune_checkpoints(checkpoints_, keep, {}, step);
    warnings.insert(warnings.end(), pruned.warnings.begin(), pruned.warnings.end());
    return warnings;
  }
  void write(const std::string& folder, std::int64_t step) const {
    const std::vector<float> values(table().flat_size(), static_cast<float>(step));
    TrainerState state;
    if (layout_.adapted()) state.base = BaseModel{"/model", "00000000"};
    state.step = step;
    state.model = tiny();
    state.byte_tokens = false;
    state.data = {1, "of the whole", "", ""};
    write_checkpoint(folder, state, layout_, values.data(),
                     both_moments(values.data(), values.data()));
  }
  /// The steps that can be resumed from; each must load whole, with its own numbers.
  std::set<std::int64_t> steps() const {
    std::set<std::int64_t> steps;
    std::vector<UnusableCheckpoint> unusable;
    for (const FoundCheckpoint& found : find_checkpoints(path_, &unusable)) {
      steps.insert(found.step);
      EXPECT_EQ(step_of_numbers(found.folder), found.step) << found.folder;
    }
    for (const UnusableCheckpoint& u : unusable) ADD_FAILURE() << u.folder << ": " << u.why;
    return steps;
  }
  /// Everything in checkpoints/ that is neither a checkpoint nor the link.
  std::vector<std::string> litter() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(checkpoints_)) {
      const std::string name = entry.path().filename().string();
      if (name != "latest" && name.rfind("step-", 0) != 0) names.push_back(name);
    }
    return names;
  }
  std::string path() const { return path_; }
  std::string checkpoints() const { return checkpoints_; }

 private:
  std::int64_t step_of_numbers(const std::string& folder) const {
    std::vector<float> w(table().flat_size()), m = w, v = w;
    read_checkpoint(folder, layout_, w.data(), both_moments(m.data(), v.data()));
    const TensorEntry& last = table().tensors().back();
    const float step = w[static_cast<std::size_t>(last.offset)];
    EXPECT_EQ(m[static_cast<std::size_t>(last.offset)], step);
    EXPECT_EQ(v[static_cast<std::size_t>(last.offset)], step);
    return static_cast<std::int64_t>(step);
  }

  const TensorTable& table() const { return layout_.trainables(); }

  ParameterLayout layout_;
  std::string path_, checkpoints_;
};

class SaveFault : public testing::Test {
 protected:
  /// A run that has saved steps 1 and 2, without waiting for a disk.
  SavedRun prepare(const std::string& name) {
    const SavedRun first(root_ / "first", lora_);
    const FaultyFiles quick({});
    if (!fs::exists(first.path())) {
      first.save(1, 5);
      first.save(2, 5);
    }
    // Files of a checkpoint are never changed, so copies may share them.
    constexpr auto kHow = fs::copy_options::recursive | fs::copy_options::copy_symlinks |
                          fs::copy_options::create_hard_links;
    SavedRun run(root_ / name, lora_);
    fs::copy(first.path(), run.path(), kHow);
    return run;
  }
  std::int64_t calls_of_a_save() {
    const SavedRun run = prepare("counted");
    const FaultyFiles files({});
    run.save(3, 1);
    return files.calls();
  }
  /// Afterwards: what must hold whatever happened to the save of step 3.
  void check(const SavedRun& run, bool saved, const std::string& what) {
    SCOPED_TRACE(what);
    const std::set<std::int64_t> steps = run.steps();
    EXPECT_EQ(steps.count(2), 1u) << "the checkpoint before";
    EXPECT_TRUE(!saved || steps.count(3) == 1);
    const FaultyFiles quick({});
    EXPECT_EQ(run.save(4, 1), std::vector<std::string>{}) << "the next save";
    EXPECT_EQ(run.steps().count(4), 1u);
    EXPECT_EQ(run.litter(), std::vector<std::string>{});
    fs::remove_all(run.path());
  }
  void fail_at_every_call(FileFault fault, int code) {
    const std::int64_t calls = calls_of_a_save();
    ASSERT_GT(calls, 50);
    int failed = 0, warned = 0;
    for (std::int64_t n = 0; n < calls; ++n) {
      const SavedRun run = prepare("run");
      bool saved = true;
      std::string struck;
      {
        const FaultyFiles files({fault, n, code});
        try {
          const std::vector<std::string> warnings = run.save(3, 1);
          warned += warnings.empty() ? 0 : 1;
          for (const std::string& warning : warnings) {
            EXPECT_TRUE(has(warning, run.path())) << warning;
          }
        } catch (const Error& error) {
          saved = false;
          ++failed;
          EXPECT_TRUE(has(error.what(), run.path())) << "which file? " << error.what();
        }
        struck = files.struck();
      }
      EXPECT_NE(struck, "") << n;
      check(run, saved, struck + ", call " + std::to_string(n));
    }
    if (fault != FileFault::kShort) {
      EXPECT_GT(failed, calls / 4);
      EXPECT_GT(warned, 3);
    } else {
      EXPECT_EQ(failed + warned, 0) << "what is short is continued";
    }
  }

  void crash_after_every_call() {
    const std::int64_t calls = calls_of_a_save();
    for (const FileFault fault : {FileFault::kCrash, FileFault::kTornCrash}) {
      for (std::int64_t n = 0; n < calls; ++n) {
        const SavedRun run = prepare("run");
        ASSERT_EQ(crash_in_child({fault, n}, [&] { run.save(3, 1); }), kCrashed) << n;
        check(run, false, "crash after call " + std::to_string(n));
      }
    }
  }

  const TemporaryFolder root_{memory_folder()};
  std::optional<LoraConfig> lora_;
};

class AdapterFault : public SaveFault {
 protected:
  AdapterFault() {
    lora_.emplace();
    lora_->rank = 2;
  }
};

TEST_F(AdapterFault, NoSpaceAtEveryCall) { fail_at_every_call(FileFault::kFail, ENOSPC); }
TEST_F(AdapterFault, ACrashAfterEveryCall) { crash_after_every_call(); }

TEST_F(SaveFault, NoSpaceAtEveryCall) { fail_at_every_call(FileFault::kFail, ENOSPC); }
TEST_F(SaveFault, InputOutputErrorAtEveryCall) { fail_at_every_call(FileFault::kFail, EIO); }
TEST_F(SaveFault, ShortReadsAndWritesAtEveryCall) { fail_at_every_call(FileFault::kShort, 0); }
TEST_F(SaveFault, TheDiskIsGoneFromEveryCallOn) { fail_at_every_call(FileFault::kFailFrom, EIO); }

TEST_F(SaveFault, ACrashAfterEveryCall) { crash_after_every_call(); }

TEST_F(SaveFault, ReplacingAFolderKeepsTheOldOrHasTheNew) {
  const SavedRun run(root_ / "run");
  const std::string folder = run.path() + "/final";
  std::int64_t calls = 0;
  {
    const FaultyFiles files({});
    run.write(folder, 1);
    const std::int64_t before = files.calls();
    run.write(folder, 2);
    calls = files.calls() - before;
  }
  for (std::int64_t n = 0; n < calls; ++n) {
    for (const FileFault fault : {FileFault::kFail, FileFault::kCrash}) {
      SCOPED_TRACE("call " + std::to_string(n));
      const std::int64_t before = *run.steps().begin();
      const std::int64_t next = 3 - before;  // 1 and 2 in turn
      if (fault == FileFault::kCrash) {
        ASSERT_EQ(crash_in_child({fault, n}, [&] { run.write(folder, next); }), kCrashed);
      } else {
        const FaultyFiles files({fault, n, EIO});
        try {
          run.write(folder, next);
        } catch (const Error& error) {
          EXPECT_TRUE(has(error.what(), run.path())) << error.what();
        }
      }
      const std::set<std::int64_t> steps = run.steps();
      ASSERT_EQ(steps.size(), 1u);
      EXPECT_TRUE(steps.count(before) == 1 || steps.count(next) == 1);
    }
  }
}

TEST_F(SaveFault, WithoutExchangeAFolderIsReplacedByTwoRenames) {
  const SavedRun run(root_ / "run");
  run.write(run.path() + "/final", 1);
  const FaultyFiles files({FileFault::kFailFrom, 0, EINVAL, "renameat2"});
  run.write(run.path() + "/final", 2);
  EXPECT_EQ(files.struck(), "renameat2");
  EXPECT_EQ(run.steps(), std::set<std::int64_t>{2});
}

TEST_F(SaveFault, WithoutSymbolicLinksEverySaveSucceeds) {
  for (const int code : {EPERM, ENOTSUP, EINVAL, ENOSYS}) {
    const SavedRun run(root_ / "run");
    const FaultyFiles files({FileFault::kFailFrom, 0, code, "symlink"});
    for (int step = 1; step <= 4; ++step) {
      EXPECT_EQ(run.save(step, 1), std::vector<std::string>{});
      EXPECT_EQ(*run.steps().rbegin(), step);
    }
    EXPECT_EQ(run.steps(), (std::set<std::int64_t>{3, 4}));
    EXPECT_FALSE(fs::exists(run.checkpoints() + "/latest"));
    fs::remove_all(run.path());
  }
}

TEST_F(SaveFault, AnOldCheckpointThatCannotBeDeletedIsAWarning) {
  for (const int code : {ESTALE, EIO, EACCES}) {
    for (const char* call : {"rename", "unlink", "rmdir"}) {
      SCOPED_TRACE(std::string(call) + " " + std::to_string(code));
      const SavedRun run = prepare("run");
      {
        const FaultyFiles files({FileFault::kFailFrom, 0, code, call});
        const PruneResult result = prune_checkpoints(run.checkpoints(), 0, {}, 2);
        EXPECT_EQ(result.removed, 0);
        ASSERT_EQ(result.warnings.size(), 1u);
        EXPECT_TRUE(has(result.warnings[0], "an old checkpoint cannot be removed: " + run.path()))
            << result.warnings[0];
      }
      EXPECT_EQ(run.steps().count(2), 1u);
      prune_checkpoints(run.checkpoints(), 0, {}, 2);
      EXPECT_EQ(run.steps(), std::set<std::int64_t>{2});
      EXPECT_EQ(run.litter(), std::vector<std::string>{}) << "tried again";
      fs::remove_all(run.path());
    }
  }
}

TEST_F(SaveFault, ALockThatIsAlwaysTakenEndsWithAMessage) {
  const SavedRun run = prepare("run");
  const FaultyFiles files({FileFault::kFailFrom, 0, EWOULDBLOCK, "flock"});
  const std::string text = message_of<Error>([&] { run.save(3, 1); });
  EXPECT_TRUE(has(text, run.checkpoints()) && has(text, "100 tries")) << text;
  EXPECT_LE(files.calls(), 300);
  EXPECT_EQ(run.litter(), std::vector<std::string>{}) << "not one folder stays";
}

TEST_F(SaveFault, WhatASaveMadeSurvivesAPowerCut) {
  const SavedRun run(root_ / "run");
  const DurabilityAudit audit;
  run.save(1, 1);
  EXPECT_EQ(audit.at_risk(), std::vector<std::string>{}) << "with the folders above it";
  run.write(run.path() + "/final", 1);
  run.write(run.path() + "/final", 2);
  EXPECT_EQ(audit.at_risk(), std::vector<std::string>{}) << "replaced";
}

TEST_F(SaveFault, WithoutLocksASaveSucceeds) {
  const SavedRun run = prepare("run");
  const FaultyFiles files({FileFault::kFailFrom, 0, ENOLCK, "flock"});
  EXPECT_EQ(run.save(3, 1), std::vector<std::string>{});
  EXPECT_EQ(run.steps(), (std::set<std::int64_t>{2, 3}));
}

}  // namespace
}  // namespace cllm
