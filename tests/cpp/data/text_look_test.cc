// These tests check what is said of a file whose name is not that of a text.
#include "data/text_look.h"

#include <gtest/gtest.h>

#include "has.h"

namespace cllm {
namespace {

TEST(TextNotes, SayThatATableIsReadAsText) {
  for (const char* name : {"a.csv", "a.b.JSONL", "runs/a.parquet", "a.gz", "a.html"}) {
    const std::vector<std::string> notes = text_notes({}, name);
    ASSERT_EQ(notes.size(), 1u) << name;
    EXPECT_TRUE(has(notes.front(), std::string(name) + " is trained on as plain text"));
  }
  for (const char* name : {"a.txt", "a.md", "csv", "a.csv.txt", "a.py", "a.csv/text", ""}) {
    EXPECT_TRUE(text_notes({}, name).empty()) << name;
  }
}

}  // namespace
}  // namespace cllm
