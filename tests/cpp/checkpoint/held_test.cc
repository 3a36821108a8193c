// A reader of a run that continues always sees one whole folder, and never calls it damaged.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "base/files.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/folder_writer.h"
#include "checkpoint/held_folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/trainer_state.h"
#include "cllm/error.h"
#include "has.h"
#include "sanitized.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

void save(const std::string& folder, std::int64_t step) {
  TrainerState state;
  state.step = step;
  state.data = {1, "of the whole", "", ""};
  FolderWriter writer(folder);
  writer.add_text("a", std::to_string(step));
  writer.add_text("trainer_state.json", trainer_state_json(state));
  writer.add_text("z", std::to_string(step));
  writer.commit();
}

std::string text_of(const HeldFolder& folder, const char* name) {
  return read_text_file(folder.path() + "/" + name);
}

class HeldFolderTest : public testing::Test {
 protected:
  const TemporaryFolder root_{memory_folder()};
  const std::string run_ = root_ / "run";
  const std::string checkpoints_ = run_ + "/checkpoints";
};

TEST_F(HeldFolderTest, LeadsIntoTheFolderWhateverItsNameBecomes) {
  save(run_ + "/final", 1);
  const HeldFolder held(run_ + "/final");
  EXPECT_TRUE(held.in_place());
  fs::rename(run_ + "/final", run_ + "/elsewhere");
  EXPECT_FALSE(held.in_place());
  save(run_ + "/final", 2);
  EXPECT_FALSE(held.in_place());
  EXPECT_EQ(text_of(held, "a"), "1");
  EXPECT_TRUE(has(message_of<InputError>([&] { HeldFolder(run_ + "/none"); }), run_ + "/none"));
}

TEST_F(HeldFolderTest, StartsOverWhenTheFolderIsExchanged) {
  save(run_ + "/final", 1);
  int calls = 0;
  std::string got;
  read_held_folder([&] { return run_ + "/final"; },
                   [&](const HeldFolder& folder) {
                     got = text_of(folder, "a");
                     if (++calls == 1) save(run_ + "/final", 2);
                   });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(got, "2");

  const std::string text = message_of<Error>([&] {
    read_held_folder([&] { return run_ + "/final"; },
                     [&](const HeldFolder&) { save(run_ + "/final", 3); });
  });
  EXPECT_TRUE(has(text, "replaced all the time") && has(text, run_ + "/final")) << text;
}

TEST_F(HeldFolderTest, RealDamageIsToldOnceWithTheNameThatWasGiven) {
  save(run_ + "/final", 1);
  root_.file("run/final/a", "9");
  int calls = 0;
  const std::string text = message_of<InputError>([&] {
    read_held_folder([&] { return run_ + "/final"; },
                     [&](const HeldFolder& folder) {
                       ++calls;
                       verify_folder(folder.path());
                     });
  });
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(has(text, run_ + "/final/a") && !has(text, "/proc/")) << text;
}

constexpr std::chrono::milliseconds kPause(kSanitized ? 60 : 2);

TEST_F(HeldFolderTest, ARunThatSavesAndPrunesIsReadWholeAlways) {
  const Watchdog watchdog("reading a run that goes on", std::chrono::seconds(100));
  save(checkpoints_ + "/" + checkpoint_name(1), 1);
  std::atomic<bool> over{false};
  std::atomic<std::int64_t> saved{1};
  std::thread trainer([&] {
    for (std::int64_t step = 2; !over; ++step) {
      const std::string folder =
          step % 5 == 0 ? run_ + "/final" : checkpoints_ + "/" + checkpoint_name(step);
      save(folder, step);
      update_latest_link(checkpoints_, checkpoint_name(step));
      // As many stay as of a real run: none would be whole for as long as a slow build reads it.
      prune_checkpoints(checkpoints_, 2, {}, step);
      saved = step;
      // A reader must be able to get through in the end.
      if (step % 4 == 0) std::this_thread::sleep_for(kPause);
    }
  });
  std::int64_t last = 0;
  int reads = 0;
  std::string failed;
  // Some hundred reads, and on until the run has gone some way on this machine.
  while (failed.empty() && (reads < 300 || saved < 300)) {
    try {
      std::int64_t step = 0;
      bool whole = false;
      std::string texts;
      const std::int64_t least = saved;
      read_held_folder([&] { return newest_model_folder(run_); },
                       [&](const HeldFolder& folder) {
                         step = read_trainer_state(folder.path()).step;
                         whole = verify_folder(folder.path());
                         texts = text_of(folder, "a") + " " + text_of(folder, "z");
                       });
      EXPECT_TRUE(whole);
      EXPECT_EQ(texts, std::to_string(step) + " " + std::to_string(step));
      EXPECT_GE(step, std::max(last, least)) << "an older one than there was";
      last = step;
      ++reads;
    } catch (const Error& error) {
      failed = error.what();
    }
  }
  over = true;
  trainer.join();
  EXPECT_EQ(failed, "");
}

}  // namespace
}  // namespace cllm
