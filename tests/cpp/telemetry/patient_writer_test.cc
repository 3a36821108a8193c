// Text on pipes that are slow, full or closed comes in whole lines and in order, and nobody waits.
#include "telemetry/patient_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

namespace cllm {
namespace {

class PatientWriters : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::pipe(ends_), 0);
    capacity_ = ::fcntl(ends_[1], F_SETPIPE_SZ, 4096);
    ASSERT_GE(capacity_, 4096);
    writer_ = std::make_unique<PatientWriter>(ends_[1]);
  }
  void TearDown() override {
    writer_.reset();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  /// Everything that is in the pipe now.
  std::string read_all() {
    std::string text;
    char buffer[1024];
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    for (ssize_t n = 0; (n = ::read(ends_[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }
  static std::string line(int number) {
    std::string text = std::to_string(number) + " ";
    return text + std::string(99 - text.size(), 'x') + "\n";
  }

  int ends_[2]{-1, -1};
  int capacity_ = 0;
  std::unique_ptr<PatientWriter> writer_;
};

TEST_F(PatientWriters, LinesWaitForASlowReader) {
  std::string wanted, seen;
  for (int i = 0; i < 300; ++i) {
    wanted += line(i);
    writer_->write(line(i));
    if (i % 40 == 39) seen += read_all();
  }
  for (int i = 0; i < 20 && seen.size() < wanted.size(); ++i) {
    seen += read_all();
    writer_->write("");
  }
  EXPECT_EQ(seen, wanted);
}

TEST_F(PatientWriters, WhatIsTooMuchIsLeftOutByWholeLinesAndCounted) {
  for (int i = 0; i < 2000; ++i) writer_->write(line(i));  // 200 KB, and nobody reads
  std::string seen;
  for (int i = 0; i < 100; ++i) {
    seen += read_all();
    writer_->write("");
  }
  writer_->write("last\n");
  seen += read_all();
  std::size_t kept = 0;
  while (seen.compare(kept * 100, 100, line(static_cast<int>(kept))) == 0) ++kept;
  EXPECT_GE(kept * 100, PatientWriter::kMostPending);
  EXPECT_EQ(seen.substr(kept * 100),
            "(" + std::to_string(2000 - kept) + " lines could not be written)\nlast\n");
}

TEST_F(PatientWriters, ALiveLineIsNotKept) {
  while (read_all().empty()) writer_->write(line(1));
  for (int i = 0; i < 60; ++i) writer_->write(line(i));  // more than the pipe takes
  writer_->write("\rlive");
  std::string seen;
  for (int i = 0; i < 5; ++i) {
    seen += read_all();
    writer_->write("");
  }
  EXPECT_EQ(seen.find("live"), std::string::npos);
  writer_->write("\rlive");
  EXPECT_EQ(read_all(), "\rlive");
}

TEST_F(PatientWriters, NobodyIsThereAnyMore) {
  ::close(ends_[0]);
  ends_[0] = ::open("/dev/null", O_RDONLY);
  std::signal(SIGPIPE, SIG_DFL);  // would end the test
  for (int i = 0; i < 3; ++i) writer_->write(line(i));
}

TEST_F(PatientWriters, TheSharedDescriptionStaysAsItIs) {
  writer_->write("text\n");
  EXPECT_EQ(::fcntl(ends_[1], F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(read_all(), "text\n");
}

TEST(PatientWriter, WritesToFilesWhereTheyAre) {
  char name[] = "/tmp/cllm-writer-XXXXXX";
  const int file = ::mkstemp(name);
  ASSERT_EQ(::write(file, "before\n", 7), 7);
  PatientWriter(file).write("after\n");
  char buffer[32] = {};
  EXPECT_EQ(::pread(file, buffer, sizeof buffer, 0), 13);
  EXPECT_STREQ(buffer, "before\nafter\n");
  ::close(file);
  ::unlink(name);
}

}  // namespace
}  // namespace cllm
