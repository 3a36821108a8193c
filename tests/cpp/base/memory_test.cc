// These tests check buffers, spans, clocks and the form of an error message.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/clock.h"
#include "base/span.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

TEST(AlignedBuffer, IsZeroedAndAligned) {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{4097}, kHugePage - 1, kHugePage, 3 * kHugePage + 5}) {
    AlignedBuffer<unsigned char> buffer(bytes);
    EXPECT_EQ(address(buffer.data()) % (bytes >= kHugePage ? kHugePage : 4096), 0u) << bytes;
    EXPECT_TRUE(std::all_of(buffer.span().begin(), buffer.span().end(),
                            [](unsigned char c) { return c == 0; }));
    std::fill(buffer.span().begin(), buffer.span().end(), static_cast<unsigned char>(7));
    EXPECT_EQ(buffer[bytes - 1], 7);
  }
}

TEST(AlignedBuffer, ManyLiveTogetherWithoutOverlap) {
  std::vector<AlignedBuffer<std::uint64_t>> buffers;
  for (std::uint64_t i = 0; i < 6; ++i) {
    buffers.emplace_back(kHugePage / 8 + i * 100);
    std::fill(buffers.back().span().begin(), buffers.back().span().end(), i);
  }
  buffers.erase(buffers.begin() + 2);  // what the trimming left must be freed, and nothing more
  for (std::size_t k = 0; k < buffers.size(); ++k) {
    const std::uint64_t i = k < 2 ? k : k + 1;
    EXPECT_TRUE(std::all_of(buffers[k].span().begin(), buffers[k].span().end(),
                            [i](std::uint64_t x) { return x == i; }));
  }
}

TEST(AlignedBuffer, MovesWithoutCopying) {
  AlignedBuffer<float> a(1000);
  a[999] = 3.0f;
  const float* data = a.data();
  AlignedBuffer<float> b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(a.data(), nullptr);
  EXPECT_EQ(a.size(), 0u);
  AlignedBuffer<float> c(5);
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
  EXPECT_EQ(c.bytes(), 4000u);
  EXPECT_EQ(c[999], 3.0f);
}

TEST(AlignedBuffer, SaysWhenTheKernelRefuses) {
  try {
    map_zeroed(std::size_t{1} << 60);
    FAIL() << "an exbibyte was granted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("not enough memory"), std::string::npos);
  }
}

TEST(Span, ConvertsOnlyTowardsConst) {
  static_assert(std::is_convertible_v<Span<int>, Span<const int>>);
  static_assert(!std::is_convertible_v<Span<const int>, Span<int>>);
  static_assert(!std::is_convertible_v<Span<int>, Span<long>>);
  static_assert(std::is_convertible_v<const std::vector<int>&, Span<const int>>);
  static_assert(!std::is_convertible_v<const std::vector<int>&, Span<int>>);
  std::vector<int> v = {1, 2, 3, 4};
  Span<int> s = v;
  s[2] = 9;
  const Span<const int> part = Span<const int>(s).subspan(1, 2);
  EXPECT_EQ(std::vector<int>(part.begin(), part.end()), (std::vector<int>{2, 9}));
  EXPECT_TRUE(Span<int>().empty());
}

TEST(Clock, CpuTimeCountsWorkAndNotSleep) {
  const std::uint64_t wall = now_ns();
  const std::uint64_t cpu = thread_cpu_ns();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::uint64_t slept = thread_cpu_ns() - cpu;
  EXPECT_GE(now_ns() - wall, 50'000'000u);
  EXPECT_LT(slept, 25'000'000u);
  while (thread_cpu_ns() - cpu < slept + 10'000'000u) {
  }
  EXPECT_GE(now_ns() - wall, 60'000'000u);
}

TEST(Error, LeavesOutEmptyParts) {
  EXPECT_EQ(Error::format({"bad", "1", "2", "--x", "try 2"}),
            "--x: bad: got 1, expected 2 (try 2)");
  EXPECT_EQ(Error::format({"bad", "1", "", "", ""}), "bad: got 1");
  EXPECT_EQ(Error::format({"bad", "", "2", "", ""}), "bad: expected 2");
  EXPECT_EQ(Error::format({"bad", "", "", "f", ""}), "f: bad");
  EXPECT_EQ(Error::format({"bad", "", "", "", "hint"}), "bad (hint)");
}

}  // namespace
}  // namespace cllm
