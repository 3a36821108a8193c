// A data file changes during a run: these tests check which changes are noticed, which do not
// matter, and which bytes the run is said to have been trained on.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file_calls.h"
#include "base/sha256.h"
#include "data/data_watch.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

/// Times on files have a grain of some milliseconds: what is written within it looks untouched.
void let_time_pass() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

void overwrite(const std::string& path, std::uint64_t at, const std::string& bytes) {
  let_time_pass();
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file << bytes;
  ASSERT_TRUE(file.flush());
}

class Watch : public testing::Test {
 protected:
  Watch() { let_time_pass(); }
  std::string complaint() {
    const std::string text = message_of<DataError>([&] { watch_.check(); });
    EXPECT_TRUE(text.empty() || (has(text, path_) && has(text, "--resume"))) << text;
    return text;
  }
  /// Whatever happens, the run was trained on these.
  void expect_first_fingerprint() {
    EXPECT_EQ(watch_.fingerprint(), (DataFingerprint{bytes_.size(), hex(sha256(bytes_)), "", ""}));
  }

  const TemporaryFolder folder_;
  const std::string bytes_ = std::string(3 << 20, 'a') + "end";
  const std::string path_ = folder_.file("a.txt", bytes_);
  const DataFile file_{path_};
  DataWatch watch_{file_};
};

TEST_F(Watch, IsContentWithAFileThatStaysAsItWas) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(complaint(), "");
  expect_first_fingerprint();
}

TEST_F(Watch, NoticesACut) {
  fs::resize_file(path_, 1000);
  EXPECT_TRUE(has(complaint(), "cut")) << complaint();
  expect_first_fingerprint();
}

TEST_F(Watch, NoticesGrowth) {
  std::ofstream(path_, std::ios::app) << "more";
  EXPECT_TRUE(has(complaint(), "grew"));
  expect_first_fingerprint();
}

TEST_F(Watch, NoticesBytesWrittenInTheMiddle) {
  overwrite(path_, 3 << 19, "b");
  EXPECT_TRUE(has(complaint(), "written to"));
  EXPECT_TRUE(has(complaint(), "written to")) << "and does not forget it";
  expect_first_fingerprint();
}

TEST_F(Watch, NoticesThemWhenTheTimeIsSetBack) {
  const auto time = fs::last_write_time(path_);
  overwrite(path_, 3 << 19, "b");
  fs::last_write_time(path_, time);
  EXPECT_TRUE(has(complaint(), "written to"));
}

TEST_F(Watch, AcceptsTheSameBytesWithAnotherTime) {
  overwrite(path_, 3 << 19, "a");
  EXPECT_EQ(complaint(), "");
  overwrite(path_, 3 << 19, "b");
  EXPECT_NE(complaint(), "");
  overwrite(path_, 3 << 19, "a");
  EXPECT_EQ(complaint(), "") << "put back as it was";
}

TEST_F(Watch, TakesNoInterestInNames) {
  fs::rename(path_, folder_ / "b.txt");
  EXPECT_EQ(complaint(), "");
  folder_.file("a.txt", "another file under the name");
  EXPECT_EQ(complaint(), "");
  fs::create_hard_link(folder_ / "b.txt", folder_ / "c.txt");
  EXPECT_EQ(complaint(), "");
  ASSERT_EQ(chmod((folder_ / "b.txt").c_str(), 0600), 0);
  EXPECT_EQ(complaint(), "");
  fs::remove(folder_ / "b.txt");
  fs::remove(folder_ / "c.txt");
  EXPECT_EQ(complaint(), "");
  expect_first_fingerprint();
}

TEST_F(Watch, TellsWhetherAStateWasTrainedOnTheseBytes) {
  const DataFingerprint whole = watch_.fingerprint(), parts = hash_ends(file_);
  EXPECT_TRUE(watch_.matches(whole));
  EXPECT_TRUE(watch_.matches(parts)) << "as older versions wrote it";
  const auto other = [&](std::uint64_t at) {
    std::string bytes = bytes_;
    bytes[at] = 'b';
    const DataFile file(folder_.file("other.txt", bytes));
    DataWatch watch(file);
    return std::pair(watch.matches(whole), watch.matches(parts));
  };
  EXPECT_EQ(other(0), std::pair(false, false));
  EXPECT_EQ(other(3 << 19), std::pair(false, true)) << "the middle shows in the whole alone";
  EXPECT_EQ(other(bytes_.size() - 1), std::pair(false, false));
  const DataFile longer(folder_.file("longer.txt", bytes_ + "a"));
  EXPECT_FALSE(DataWatch(longer).matches(whole));
}

TEST_F(Watch, HashesLargeFilesInTheBackground) {
  DataWatch watch(file_, 1000);
  EXPECT_EQ(watch.fingerprint(), watch_.fingerprint());
  EXPECT_TRUE(watch.is_hashed());
  for (int i = 0; i < 20; ++i) DataWatch(file_, 1000).check();  // ended long before it is done
}

// What the failing calls below do next.
int failing_errno = 0, short_reads = 0;

ssize_t failing_pread(int fd, void* out, std::size_t size, off_t offset) {
  if (failing_errno != 0) {
    errno = failing_errno;
    if (failing_errno == EINTR) failing_errno = 0;
    return -1;
  }
  ++short_reads;
  return system_file_calls().pread(fd, out, std::min<std::size_t>(size, 1000), offset);
}

TEST_F(Watch, ReadsOnAfterShortAndInterruptedReadsAndSaysWhatFailed) {
  FileCalls calls = system_file_calls();
  calls.pread = failing_pread;
  const FileCallsForTesting scope(calls);
  failing_errno = EINTR;
  EXPECT_EQ(FileHash::of(file_, 0, 10'000), hex(sha256(bytes_.substr(0, 10'000))));
  EXPECT_EQ(short_reads, 10);
  char byte = 0;
  for (const int code : {EIO, ESTALE}) {
    failing_errno = code;
    const std::string text = message_of<DataError>([&] { file_.read(5, &byte, 1); });
    EXPECT_TRUE(has(text, path_) && has(text, "cannot be read any more")) << text;
  }
  failing_errno = 0;
}

ssize_t pread_without_the_middle(int fd, void* out, std::size_t size, off_t offset) {
  constexpr off_t kMib = 1 << 20;
  if (offset < kMib || offset >= 2 * kMib) return system_file_calls().pread(fd, out, size, offset);
  errno = EIO;
  return -1;
}

TEST_F(Watch, AFileThatCannotBeHashedKeepsNothingFromBeingSaved) {
  FileCalls calls = system_file_calls();
  calls.pread = pread_without_the_middle;
  const FileCallsForTesting scope(calls);
  DataWatch blind(file_);
  EXPECT_EQ(blind.fingerprint(), hash_ends(file_));
  EXPECT_NO_THROW(blind.check());
  EXPECT_THROW(blind.matches(watch_.fingerprint()), DataError);
}

TEST_F(Watch, WhatChangesBeforeItIsHashedIsNamedByItsParts) {
  const DataFingerprint parts = hash_ends(file_);
  overwrite(path_, 3 << 19, "b");
  DataWatch late(file_, 1000);  // of the file as it was opened
  EXPECT_EQ(late.fingerprint(), parts);
  EXPECT_TRUE(has(message_of<DataError>([&] { late.check(); }), "before all of it was hashed"));
  EXPECT_THROW(late.matches(watch_.fingerprint()), DataError);
}

}  // namespace
}  // namespace cllm
