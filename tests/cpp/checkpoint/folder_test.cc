// A folder is complete or not there; damage is found and named, and killed saves leave nothing
// broken.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "base/files.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/folder_writer.h"
#include "checkpoint/manifest.h"
#include "checkpoint/partial_folder.h"
#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

int partial_folders(const std::string& parent) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(parent)) {
    count += has(entry.path().filename().string(), "partial") ? 1 : 0;
  }
  return count;
}

void write(const std::string& folder, const std::string& text, const std::string& big = "") {
  FolderWriter writer(folder);
  writer.add_text("a.txt", text);
  if (!big.empty()) writer.add_text("big", big);
  writer.commit();
}

TEST(FolderWriter, NothingIsThereBeforeCommitAndAllAfter) {
  const TemporaryFolder root;
  const std::string folder = root / "deep/er/model/";
  {
    FolderWriter writer(folder);
    writer.add_text("a.txt", "hello");
    EXPECT_FALSE(fs::exists(folder));
    writer.commit();
  }
  EXPECT_EQ(read_text_file(folder + "/a.txt"), "hello");
  EXPECT_TRUE(verify_folder(folder));
  EXPECT_EQ(partial_folders(root / "deep/er"), 0);
}

TEST(FolderWriter, WithoutCommitNothingStays) {
  const TemporaryFolder root;
  write(root / "model", "old");
  {
    FolderWriter writer(root / "model");
    writer.add_text("a.txt", "new");
  }
  EXPECT_EQ(read_text_file(root / "model/a.txt"), "old");
  EXPECT_EQ(partial_folders(root.path()), 0);
}

TEST(FolderWriter, ReplacesOnlyWhatItWrote) {
  const TemporaryFolder root;
  write(root / "model", "old");
  write(root / "model", "new");
  EXPECT_EQ(read_text_file(root / "model/a.txt"), "new");
  EXPECT_EQ(partial_folders(root.path()), 0);

  fs::create_directory(root / "empty");
  write(root / "empty", "x");
  EXPECT_TRUE(verify_folder(root / "empty"));

  fs::create_directory(root / "home");
  root.file("home/letter", "dear");
  EXPECT_THROW(FolderWriter(root / "home"), InputError);
  EXPECT_EQ(read_text_file(root / "home/letter"), "dear");
  root.file("plain", "text");
  EXPECT_THROW(FolderWriter(root / "plain"), InputError);
  fs::create_directory_symlink("model", root / "link");
  EXPECT_THROW(FolderWriter(root / "link"), InputError);
}

TEST(FolderWriter, RemovesLeftoversButNotTheWorkOfTheLiving) {
  const TemporaryFolder root;
  fs::create_directory(partial_name(root / "model"));
  ASSERT_EQ(partial_folders(root.path()), 1);
  FolderWriter first(root / "model");
  EXPECT_EQ(partial_folders(root.path()), 1) << "the leftover is gone, the first writer's is there";
  first.add_text("a.txt", "first");
  {
    FolderWriter second(root / "other");
    EXPECT_EQ(partial_folders(root.path()), 2);
  }
  first.commit();
  EXPECT_TRUE(verify_folder(root / "model"));
}

TEST(FolderWriter, SumsDoNotDependOnHowBytesArrive) {
  const TemporaryFolder root;
  std::string bytes(2 * kChunkBytes + 12345, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + (i >> 9));
  write(root / "whole", "x", bytes);
  FolderWriter writer(root / "pieces");
  writer.add_text("a.txt", "x");
  writer.add("big", [&](const ByteSink& sink) {
    for (std::size_t at = 0, size = 1; at < bytes.size(); at += size, size = size * 3 + 1) {
      size = std::min(size, bytes.size() - at);
      sink(bytes.data() + at, size);
    }
  });
  writer.commit();
  EXPECT_EQ(read_text_file(root / "whole/manifest.json"),
            read_text_file(root / "pieces/manifest.json"));
  EXPECT_TRUE(verify_folder(root / "pieces"));
}

class DamagedFolder : public testing::Test {
 protected:
  DamagedFolder() {
    big_.assign(2 * kChunkBytes + 100, 'x');
    write(folder_, "hello", big_);
  }
  std::string complaint() {
    return message_of<InputError>([this] { verify_folder(folder_); });
  }

  TemporaryFolder root_;
  const std::string folder_ = root_ / "model";
  std::string big_;
};

TEST_F(DamagedFolder, OneBitIsFoundWithFileAndMiB) {
  for (const std::size_t at : {std::size_t{0}, kChunkBytes - 1, kChunkBytes, big_.size() - 1}) {
    std::string bytes = big_;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    root_.file("model/big", bytes);
    const std::string message = complaint();
    EXPECT_TRUE(has(message, folder_ + "/big")) << message;
    EXPECT_TRUE(has(message, "MiB " + std::to_string(at / kChunkBytes))) << message;
  }
}

TEST_F(DamagedFolder, ShortLongAndMissingFilesAreFound) {
  root_.file("model/big", big_.substr(1));
  EXPECT_TRUE(has(complaint(), "another size"));
  root_.file("model/big", big_ + "x");
  EXPECT_TRUE(has(complaint(), "another size"));
  fs::remove(folder_ + "/big");
  EXPECT_TRUE(has(complaint(), folder_ + "/big"));
  EXPECT_TRUE(verify_files(folder_, {"a.txt"})) << "files that are not asked for do not matter";
}

TEST_F(DamagedFolder, NoFlipInTheManifestPasses) {
  // But for white space, where a flip (a blank becomes a tab, say) changes nothing that is said.
  const std::string manifest = read_text_file(folder_ + "/manifest.json");
  for (std::size_t bit = 0; bit < manifest.size() * 8; ++bit) {
    if (std::isspace(static_cast<unsigned char>(manifest[bit / 8])) != 0) continue;
    std::string bytes = manifest;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    fs::remove(folder_ + "/manifest.json");  // ext4 flushes a file that is cut and rewritten
    root_.file("model/manifest.json", bytes);
    EXPECT_NE(message_of<InputError>([&] { verify_files(folder_, {"a.txt"}); }), "")
        << "bit " << bit % 8 << " of byte " << bit / 8;
  }
}

TEST_F(DamagedFolder, WithoutManifestThereIsNothingToVerify) {
  fs::remove(folder_ + "/manifest.json");
  EXPECT_FALSE(verify_folder(folder_));
  EXPECT_THROW(verify_folder(root_ / "nowhere"), InputError);
}

/// Writes checkpoints until it is killed, going round six names so that folders are replaced too.
[[noreturn]] void save_for_ever(const std::string& checkpoints, int step) {
  const std::string big(kChunkBytes + 1000, 'b');
  for (;; step = (step + 1) % 6) {
    write(checkpoints + "/" + checkpoint_name(step), std::to_string(step), big);
    update_latest_link(checkpoints, checkpoint_name(step));
    if (step == 5) prune_checkpoints(checkpoints, 2, {}, step);
  }
}

TEST(CheckpointSet, KilledAtAnyInstantLatestVerifies) {
  const TemporaryFolder root;
  const std::string checkpoints = root / "checkpoints";
  const auto start = std::chrono::steady_clock::now();
  write(checkpoints + "/" + checkpoint_name(0), "0", std::string(kChunkBytes, 'b'));
  update_latest_link(checkpoints, checkpoint_name(0));
  // Kills are spread over some saves, whatever a save costs on this disk just now.
  const std::chrono::duration<double> save = std::chrono::steady_clock::now() - start;
  std::mt19937 random(7);
  std::uniform_real_distribution<double> moment(0, std::min(3 * save.count() + 0.004, 0.25));
  int moved = 0, unfinished = 0;
  fs::path before = "step-00000000";
  // On after 30 kills only if the disk was so slow that too few hit or passed a save.
  for (int kill_number = 0; kill_number < 200; ++kill_number) {
    if (kill_number >= 30 && moved >= 3 && unfinished >= 3) break;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        save_for_ever(checkpoints, kill_number % 6);
      } catch (const std::exception&) {
        _exit(1);  // seen below: it did not die by the signal
      }
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a save failed after kill " << kill_number;

    const fs::path latest = fs::read_symlink(checkpoints + "/latest");
    EXPECT_TRUE(verify_folder(checkpoints + "/" + latest.string())) << "kill " << kill_number;
    for (const auto& entry : fs::directory_iterator(checkpoints)) {
      if (!has(entry.path().filename().string(), "partial") && entry.is_directory()) {
        EXPECT_TRUE(verify_folder(entry.path().string())) << entry.path();
      }
    }
    moved += latest != before ? 1 : 0;
    unfinished += partial_folders(checkpoints) > 0 ? 1 : 0;
    before = latest;
  }
  EXPECT_GE(moved, 3) << "kills came before any save was done";
  EXPECT_GE(unfinished, 3) << "no kill hit a save";
  write(checkpoints + "/" + checkpoint_name(9), "9");
  EXPECT_EQ(partial_folders(checkpoints), 0) << "leftovers of killed saves";
}

}  // namespace
}  // namespace cllm
