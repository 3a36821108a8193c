// The checkpoints of a run are found by what they hold, whatever `latest` is, and pruned with care.
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "base/files.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/folder_writer.h"
#include "checkpoint/trainer_state.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

void save(const std::string& folder, std::int64_t step) {
  TrainerState state;
  state.step = step;
  state.data = {1, "of the whole", "", ""};
  FolderWriter writer(folder);
  writer.add_text("trainer_state.json", trainer_state_json(state));
  writer.add_text("weights", std::to_string(step));
  writer.commit();
}

class CheckpointSet : public testing::Test {
 protected:
  void save_step(std::int64_t step) { save(checkpoints_ + "/" + checkpoint_name(step), step); }
  /// Folders below the run, newest first.
  std::vector<std::string> found() {
    std::vector<std::string> names;
    unusable_.clear();
    for (const FoundCheckpoint& c : find_checkpoints(run_, &unusable_)) {
      names.push_back(fs::relative(c.folder, run_).string());
    }
    return names;
  }
  bool there(std::int64_t step) const {
    return fs::exists(checkpoints_ + "/" + checkpoint_name(step));
  }
  /// As cp -rL makes it.
  void copy_latest_of(std::int64_t step) {
    fs::remove_all(checkpoints_ + "/latest");
    fs::copy(checkpoints_ + "/" + checkpoint_name(step), checkpoints_ + "/latest",
             fs::copy_options::recursive);
  }

  const TemporaryFolder root_;
  const std::string run_ = root_ / "run";
  const std::string checkpoints_ = run_ + "/checkpoints";
  std::vector<UnusableCheckpoint> unusable_;
};

using Names = std::vector<std::string>;

TEST_F(CheckpointSet, NothingIsFoundWhereNothingIs) {
  EXPECT_EQ(found(), Names{});
  fs::create_directories(checkpoints_);
  EXPECT_EQ(found(), Names{});
  EXPECT_EQ(newest_model_folder(run_), "");
}

TEST_F(CheckpointSet, TheNewestIsFoundWhateverLatestIs) {
  save_step(2);
  save_step(10);
  const Names both = {"checkpoints/step-00000010", "checkpoints/step-00000002"};
  EXPECT_EQ(found(), both) << "no link: killed between rename and link, or copied without";
  fs::create_symlink("step-00000002", checkpoints_ + "/latest");
  EXPECT_EQ(found(), both) << "an old link";
  fs::remove(checkpoints_ + "/latest");
  fs::create_symlink("step-00000099", checkpoints_ + "/latest");
  EXPECT_EQ(found(), both) << "a dangling link";
  fs::remove(checkpoints_ + "/latest");
  fs::create_symlink("latest", checkpoints_ + "/latest");
  EXPECT_EQ(found(), both) << "a loop";
  fs::remove(checkpoints_ + "/latest");
  root_.file("run/checkpoints/latest", "step-00000002");
  EXPECT_EQ(found(), both) << "a text file";
  fs::remove(checkpoints_ + "/latest");
  copy_latest_of(10);
  EXPECT_EQ(found(), Names({both[0], "checkpoints/latest", both[1]})) << "a copied folder";
  fs::remove_all(checkpoints_ + "/" + checkpoint_name(10));
  EXPECT_EQ(found(), Names({"checkpoints/latest", both[1]})) << "the only copy";
}

TEST_F(CheckpointSet, TheStepComesFromTheStateNotFromTheName) {
  save(checkpoints_ + "/" + checkpoint_name(500), 3);
  save(checkpoints_ + "/" + checkpoint_name(4), 7);
  const std::vector<FoundCheckpoint> all = find_checkpoints(run_);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].step, 7);
  EXPECT_EQ(all[1].step, 3);
}

TEST_F(CheckpointSet, FinalCountsByItsStep) {
  save_step(30);
  save(run_ + "/final", 20);
  EXPECT_EQ(found(), Names({"checkpoints/step-00000030", "final"}));
  EXPECT_EQ(newest_model_folder(run_), checkpoints_ + "/step-00000030");
  save(run_ + "/final", 30);
  EXPECT_EQ(newest_model_folder(run_), run_ + "/final");
}

TEST_F(CheckpointSet, WhatCannotBeUsedIsToldOf) {
  save_step(1);
  save_step(2);
  save_step(3);
  save_step(4);
  fs::remove(checkpoints_ + "/step-00000004/manifest.json");
  root_.file("run/checkpoints/step-00000003/trainer_state.json", "{}");
  fs::remove(checkpoints_ + "/step-00000002/trainer_state.json");
  fs::create_directory(checkpoints_ + "/.cllm-partial-x");
  fs::create_directory(checkpoints_ + "/step-x");
  EXPECT_EQ(found(), Names{"checkpoints/step-00000001"});
  ASSERT_EQ(unusable_.size(), 3u);
  EXPECT_TRUE(has(unusable_[0].why, "step-00000002"));
  EXPECT_TRUE(has(unusable_[1].why, "another size")) << unusable_[1].why;
  EXPECT_TRUE(has(unusable_[2].why, "without a manifest"));
}

TEST_F(CheckpointSet, TheLinkMoves) {
  save_step(1);
  save_step(2);
  root_.file("run/checkpoints/.latest-next", "left by a crash");
  EXPECT_EQ(update_latest_link(checkpoints_, checkpoint_name(2)), "");
  EXPECT_EQ(update_latest_link(checkpoints_, checkpoint_name(1)), "");
  EXPECT_EQ(fs::read_symlink(checkpoints_ + "/latest"), "step-00000001");
  EXPECT_FALSE(fs::exists(checkpoints_ + "/.latest-next"));
}

TEST_F(CheckpointSet, ACopiedLatestMakesWayForTheLink) {
  save_step(1);
  save_step(2);
  copy_latest_of(2);
  fs::remove_all(checkpoints_ + "/step-00000002");
  EXPECT_EQ(update_latest_link(checkpoints_, checkpoint_name(1)), "");
  EXPECT_TRUE(there(2)) << "the only copy of a step keeps its work";
  EXPECT_EQ(fs::read_symlink(checkpoints_ + "/latest"), "step-00000001");

  copy_latest_of(2);
  EXPECT_EQ(update_latest_link(checkpoints_, checkpoint_name(2)), "");
  EXPECT_EQ(fs::read_symlink(checkpoints_ + "/latest"), "step-00000002");
  EXPECT_EQ(find_checkpoints(run_).size(), 2u);

  fs::remove(checkpoints_ + "/latest");
  root_.file("run/checkpoints/latest", "step-00000001");
  EXPECT_EQ(update_latest_link(checkpoints_, checkpoint_name(2)), "");
  EXPECT_TRUE(fs::is_symlink(checkpoints_ + "/latest")) << "a link that an archive made a file";
}

TEST_F(CheckpointSet, WhatIsNotOursStaysInTheWay) {
  save_step(1);
  fs::create_directories(checkpoints_ + "/latest");
  root_.file("run/checkpoints/latest/letter", "dear");
  EXPECT_TRUE(has(update_latest_link(checkpoints_, checkpoint_name(1)), "no checkpoint"));
  EXPECT_EQ(read_text_file(checkpoints_ + "/latest/letter"), "dear");
  fs::remove_all(checkpoints_ + "/latest");
  root_.file("run/checkpoints/latest", "my notes");
  EXPECT_TRUE(has(update_latest_link(checkpoints_, checkpoint_name(1)), "in the place of a link"));
  EXPECT_EQ(read_text_file(checkpoints_ + "/latest"), "my notes");
}

TEST_F(CheckpointSet, PruningKeepsTheNewestTheProtectedAndWhatIsAhead) {
  for (const int step : {1, 2, 3, 4, 5, 10, 20}) save_step(step);
  root_.file("run/checkpoints/step-x", "no checkpoint");
  const PruneResult result = prune_checkpoints(checkpoints_, 1, {checkpoint_name(2)}, 5);
  EXPECT_EQ(result.removed, 2);
  EXPECT_TRUE(result.warnings.empty());
  EXPECT_FALSE(there(1));
  EXPECT_TRUE(there(2)) << "protected";
  EXPECT_FALSE(there(3));
  EXPECT_TRUE(there(4)) << "one beside the one just saved";
  EXPECT_TRUE(there(5) && there(10) && there(20)) << "never what is ahead";
  EXPECT_TRUE(fs::exists(checkpoints_ + "/step-x"));
  EXPECT_EQ(prune_checkpoints(checkpoints_, 0, {}, 5).removed, 2);
  EXPECT_TRUE(there(5) && there(10) && there(20));
}

}  // namespace
}  // namespace cllm
