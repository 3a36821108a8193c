// The check of whether a run may be made in a place leaves no trace.
#include "checkpoint/run_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("cllm_run_folder_" + std::to_string(::getpid()));
    fs::remove_all(root_);
    fs::create_directories(root_ / "empty");
    fs::create_directories(root_ / "used");
    std::ofstream(root_ / "used/notes.txt") << "mine";
    std::ofstream(root_ / "file") << "x";
    fs::create_symlink("nowhere", root_ / "dangling");
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string error(const std::string& path) const {
    const auto count = [this] {
      const fs::recursive_directory_iterator all(root_);
      return std::distance(begin(all), end(all));
    };
    const auto before = count();
    std::string text;
    try {
      check_new_run_folder(path);
    } catch (const InputError& refused) {
      text = refused.what();
    }
    EXPECT_EQ(count(), before) << path << " left a trace";
    return text;
  }
  std::string below(const std::string& name) const { return (root_ / name).string(); }

  fs::path root_;
};

TEST_F(RunFolderTest, AcceptsNewAndEmptyFolders) {
  for (const char* name : {"new", "new/", "new/deep/er", "empty", "empty/", "empty/../other"}) {
    EXPECT_EQ(error(below(name)), "") << name;
  }
}

TEST_F(RunFolderTest, RefusesWhatIsThere) {
  EXPECT_NE(error(below("used")).find("already used"), std::string::npos);
  EXPECT_NE(error(below("used/")).find("already used"), std::string::npos);
  EXPECT_EQ(error(below("used")).find("--resume"), std::string::npos);
  std::ofstream(root_ / "used/config.toml") << "";
  EXPECT_NE(error(below("used")).find("--resume " + below("used")), std::string::npos);
  EXPECT_NE(error(below("file")).find("is a file"), std::string::npos);
  EXPECT_NE(error(below("dangling")).find("is a file"), std::string::npos);
}

TEST_F(RunFolderTest, OnlyARunCanBeOverwritten) {
  const auto refusal = [this] {
    try {
      check_new_run_folder(below("used"), true);
    } catch (const InputError& refused) {
      return std::string(refused.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal().find("only a run can be overwritten"), std::string::npos);
  std::ofstream(root_ / "used/config.toml") << "";
  EXPECT_NE(refusal(), "") << "a user may have written that file";
  fs::create_directories(root_ / "used/checkpoints/step-00000001");
  EXPECT_EQ(refusal(), "");
  EXPECT_NE(error(below("used")).find("--overwrite"), std::string::npos);
}

TEST_F(RunFolderTest, RefusesPlacesThatCannotHoldIt) {
  EXPECT_NE(error(below("file/run")).find("below a file"), std::string::npos);
  EXPECT_NE(error(below("file/a/b")).find("below a file"), std::string::npos);
  EXPECT_NE(error("/proc/run").find("cannot write"), std::string::npos);
  for (const char* path : {"/proc/run", "/proc/self/run"}) {
    EXPECT_EQ(error(path).find("--out: "), 0u) << path;
  }
}

}  // namespace
}  // namespace cllm
