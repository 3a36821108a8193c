// The options of run_model are tested here: their names, and what is said of names and prompts of
// other programs.
#include "cllm/generate_options.h"

#include <gtest/gtest.h>

#include <set>

#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

std::string hint(const char* name) { return unknown_generate_option_hint(name); }

TEST(GenerateOptions, NamesAreUniqueAndExplained) {
  std::set<std::string> names;
  for (const GenerateOption& option : generate_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    for (const std::string& alias : option.aliases) {
      EXPECT_TRUE(names.insert(alias).second) << alias;
      EXPECT_TRUE(has(option.explained(), "--" + alias));
    }
  }
  for (const char* name : {"start", "max-new-tokens", "out-dir"}) EXPECT_EQ(names.count(name), 1u);
}

TEST(GenerateOptions, AnUnknownNameIsAnswered) {
  EXPECT_EQ(hint("--temprature"), "did you mean --temperature?");
  EXPECT_EQ(hint("--max_new_token"), "did you mean --max-new-tokens?");
  EXPECT_TRUE(has(hint("--num_samples=3"), "--seed"));
  EXPECT_TRUE(has(hint("--device"), "cores"));
  EXPECT_TRUE(has(hint("--do_sample"), "--temperature 0"));
  EXPECT_EQ(hint("--xyzzy"), "see --help");
  // Only training has these.
  EXPECT_EQ(hint("--schedule"), "see --help");
}

TEST(GenerateOptions, APromptIsNotAFile) {
  const TemporaryFolder folder;
  const std::string file = folder.file("prompt.txt", "To be");
  try {
    check_prompt("FILE:" + file);
    FAIL() << "a file was taken";
  } catch (const InputError& error) {
    EXPECT_TRUE(has(error.what(), "$(cat " + file + ")"));
  }
  check_prompt("FILE: a word of a text");
  check_prompt(file);
}

}  // namespace
}  // namespace cllm
