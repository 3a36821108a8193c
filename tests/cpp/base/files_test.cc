// Files are mapped, read, replaced durably and appended to; every failure says which file and why.
#include "base/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/append_file.h"
#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

/// Makes writes beyond `bytes` of a file fail with EFBIG, as a full disk fails with ENOSPC.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit now = before_;
    now.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &now);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(OpenForReading, RefusesWhatIsNoReadableFile) {
  const TemporaryFolder folder;
  const auto open = [](const std::string& path) {
    std::size_t size = 0;
    return message_of<InputError>([&] { open_for_reading(path, &size); });
  };
  const std::string missing = open(folder / "missing.txt");
  EXPECT_TRUE(has(missing, folder / "missing.txt") && has(missing, "no such file")) << missing;
  EXPECT_TRUE(has(missing, "spelling")) << missing;
  const std::string is_folder = open(folder.path());
  EXPECT_TRUE(has(is_folder, folder.path()) && has(is_folder, "folder")) << is_folder;
  const std::string under_file = open(folder.file("a", "x") + "/b");
  EXPECT_TRUE(has(under_file, "no such file")) << under_file;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(has(open(pipe), "pipe")) << "must not wait for a writer";
  EXPECT_TRUE(has(open(""), "empty path"));
}

TEST(OpenForReading, RefusesAFileWithoutPermission) {
  if (geteuid() == 0) GTEST_SKIP() << "the superuser may read everything";
  const TemporaryFolder folder;
  const std::string path = folder.file("secret", "x");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  std::size_t size = 0;
  const std::string text = message_of<InputError>([&] { open_for_reading(path, &size); });
  EXPECT_TRUE(has(text, path) && has(text, "permissions")) << text;
}

TEST(ReadTextFile, ReturnsEveryByte) {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  EXPECT_EQ(read_text_file(folder.file("a", bytes)), bytes);
  EXPECT_EQ(read_text_file(folder.file("b", "")), "");
  EXPECT_TRUE(has(message_of<InputError>([&] { read_text_file(folder / "c"); }), folder / "c"));
}

TEST(ParentFolder, IsWhatHoldsTheFile) {
  EXPECT_EQ(parent_folder("a"), ".");
  EXPECT_EQ(parent_folder("/a"), "/");
  EXPECT_EQ(parent_folder("a/b"), "a");
  EXPECT_EQ(parent_folder("/a/b/c"), "/a/b");
}

TEST(DurableFile, ReplacesAndLeavesNothingElse) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a", "before");
  folder.file("a.partial", "left by a crash, and longer than what follows");
  write_file_durably(path, "after");
  EXPECT_EQ(read_text_file(path), "after");
  write_file_durably(path, "");
  EXPECT_EQ(read_text_file(path), "");
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(DurableFile, OverwritesWhatItWrote) {
  const TemporaryFolder folder;
  DurableFile file(folder / "a");
  file.write("....data", 8);
  file.overwrite(0, "HEAD", 4);
  file.write("more", 4);
  file.commit();
  EXPECT_EQ(read_text_file(folder / "a"), "HEADdatamore");
}

TEST(DurableFile, KeepsTheOldFileUntilCommit) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a", "before");
  {
    DurableFile file(path);
    file.write("half", 4);
    EXPECT_EQ(read_text_file(path), "before");
  }
  EXPECT_EQ(read_text_file(path), "before");
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(DurableFile, SaysWhyItCannotWrite) {
  const TemporaryFolder folder;
  const std::string path = folder / "none/a";
  const std::string text = message_of<Error>([&] { write_file_durably(path, "x"); });
  EXPECT_TRUE(has(text, path) && has(text, "No such file or directory")) << text;
}

TEST(DurableFile, AFailedWriteLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a", "before");
  std::string text;
  {
    const FileSizeLimit limit(1000);
    text = message_of<Error>([&] { write_file_durably(path, std::string(5000, 'x')); });
  }
  EXPECT_TRUE(has(text, path) && has(text, "File too large")) << text;
  EXPECT_EQ(read_text_file(path), "before");
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(SyncFolder, SaysWhichFolderIsNot) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(sync_folder(folder.path()));
  const std::string text = message_of<Error>([&] { sync_folder(folder / "none"); });
  EXPECT_TRUE(has(text, folder / "none") && has(text, "No such file")) << text;
}

TEST(AppendFile, AppendsLinesAcrossOpenings) {
  const TemporaryFolder folder;
  const std::string path = folder / "log";
  {
    AppendFile log(path);
    log.write_line("one");
    EXPECT_EQ(read_text_file(path), "one\n") << "a line is visible at once";
    log.write_line("");
    log.flush();
  }
  AppendFile(path).write_line("three");
  EXPECT_EQ(read_text_file(path), "one\n\nthree\n");
}

TEST(AppendFile, EndsATornLineBeforeTheNext) {
  const TemporaryFolder folder;
  const std::string path = folder.file("log", "one\n{\"tor");
  AppendFile log(path);
  log.write_line("two");
  log.write_line("three");
  EXPECT_EQ(read_text_file(path), "one\n{\"tor\ntwo\nthree\n");
}

TEST(AppendFile, GoesOnAfterAFullDisk) {
  const TemporaryFolder folder;
  const std::string path = folder / "log";
  AppendFile log(path);
  std::string text;
  {
    const FileSizeLimit limit(6);
    text = message_of<Error>([&] { log.write_line("0123456789"); });
  }
  EXPECT_TRUE(has(text, path) && has(text, "File too large")) << text;
  log.write_line("next");
  EXPECT_EQ(read_text_file(path), "012345\nnext\n");
}

TEST(AppendFile, SaysThatTheDeviceIsFull) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  AppendFile log("/dev/full");
  const std::string text = message_of<Error>([&] { log.write_line("x"); });
  EXPECT_TRUE(has(text, "/dev/full") && has(text, "No space left on device")) << text;
}

}  // namespace
}  // namespace cllm
