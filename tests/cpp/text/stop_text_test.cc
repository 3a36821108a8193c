// Text ends where a stop string begins, however it comes in pieces.
#include "cllm/stop_text.h"

#include <gtest/gtest.h>

#include "cllm/error.h"

namespace cllm {
namespace {

/// Returns what is shown of a text that comes in pieces of `size` bytes.
std::string shown(const std::string& text, std::size_t size,
                  const std::vector<std::string>& stops) {
  StopText stop(stops);
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += size) {
    all += stop.add(text.substr(at, size));
    EXPECT_EQ(text.compare(0, all.size(), all), 0);
  }
  return all + stop.finish();
}

TEST(StopText, EndsBeforeTheFirstStopInPiecesOfAnySize) {
  for (std::size_t size = 1; size < 12; ++size) {
    EXPECT_EQ(shown("one\n\ntwo", size, {"\n\n"}), "one") << size;
    EXPECT_EQ(shown("aaab", size, {"aab"}), "a") << size;
    EXPECT_EQ(shown("one\ntwo", size, {"\n\n"}), "one\ntwo") << size;
    EXPECT_EQ(shown("one\n", size, {"\n\n"}), "one\n") << size;
    EXPECT_EQ(shown("to be END not", size, {"not", "END"}), "to be ") << size;
    EXPECT_EQ(shown("text", size, {}), "text") << size;
  }
}

TEST(StopText, KeepsBackNoMoreThanItMust) {
  StopText stop({"abc"});
  EXPECT_EQ(stop.add("xab"), "x");
  EXPECT_EQ(stop.add("ab"), "ab");
  EXPECT_EQ(stop.add("c"), "");
  EXPECT_TRUE(stop.is_over());
  EXPECT_EQ(stop.add("more"), "");
}

TEST(StopText, RefusesAnEmptyStop) { EXPECT_THROW(StopText({"a", ""}), InputError); }

}  // namespace
}  // namespace cllm
