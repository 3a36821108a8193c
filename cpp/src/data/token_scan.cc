#include "data/token_scan.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cllm/wording.h"

namespace cllm {
namespace {

/// int32 token ids are below this.
constexpr std::uint64_t kLargestVocabulary = std::uint64_t{1} << 31;

/// Keeps maxima over tokens i with the same i modulo kLanes, a form that compilers vectorise.
constexpr std::size_t kLanes = 32;
using Maxima = std::array<std::uint64_t, 4>;  // of i modulo 4

template <class T>
class LaneMaxima {
 public:
  /// REQUIRES: all calls but the last bring a multiple of kLanes tokens.
  void add(Span<const std::byte> bytes) {
    std::array<T, kLanes> block{};
    for (std::size_t at = 0; at < bytes.size(); at += sizeof block) {
      const std::size_t size = std::min(sizeof block, bytes.size() - at);
      if (size < sizeof block) block.fill(0);
      std::memcpy(block.data(), bytes.data() + at, size);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        lanes_[lane] = std::max(lanes_[lane], block[lane]);
      }
    }
  }
  Maxima maxima() const {
    Maxima all{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      all[lane % 4] = std::max<std::uint64_t>(all[lane % 4], lanes_[lane]);
    }
    return all;
  }

 private:
  std::array<T, kLanes> lanes_{};
};

template <class T>
Maxima find_maxima(const DataFile& file, const TokenLayout& layout) {
  LaneMaxima<T> lanes;
  file.scan(layout.begin, layout.end(), [&](std::uint64_t, Span<const std::byte> bytes) {
    lanes.add(bytes);
    return true;
  });
  return lanes.maxima();
}

std::uint64_t token_at(const std::byte* at, int width) {
  std::uint64_t token = 0;
  std::memcpy(&token, at, static_cast<std::size_t>(width));
  return token;
}

/// Writes "-5" where a signed token reads as a large number.
std::string as_written(std::uint64_t token, const TokenLayout& layout) {
  if (!layout.is_signed) return std::to_string(token);
  const int unused = 64 - 8 * layout.width;
  return std::to_string(static_cast<std::int64_t>(token << unused) >> unused);
}

[[noreturn]] void refuse_first_outside(const DataFile& file, const TokenLayout& layout,
                                       std::uint64_t limit, std::uint64_t largest) {
  const auto width = static_cast<std::uint64_t>(layout.width);
  std::uint64_t position = 0, token = 0;
  file.scan(layout.begin, layout.end(), [&](std::uint64_t offset, Span<const std::byte> bytes) {
    for (std::uint64_t i = 0; i < bytes.size(); i += width) {
      token = token_at(bytes.data() + i, layout.width);
      if (token < limit) continue;
      position = (offset - layout.begin + i) / width;
      return false;
    }
    return true;
  });
  const bool possible =
      largest < kLargestVocabulary && !(layout.is_signed && as_written(largest, layout)[0] == '-');
  throw InputError({std::string("token outside the vocabulary (") + layout.kind + ")",
                    as_written(token, layout) + " at position " + std::to_string(position) +
                        (possible ? " with " + option_word("vocab", std::to_string(limit)) : ""),
                    "tokens from 0 to " + std::to_string(limit - 1), file.path(),
                    possible ? "the smallest that works is " +
                                   option_word("vocab", std::to_string(largest + 1)) +
                                   "; give the tokenizer's own size"
                             : "the file holds something else than token ids, or is damaged"});
}

/// Longer ids that are cut into 16-bit words show in the upper words, which are zero or (beyond
/// 65535) tiny.
void refuse_longer_ids(const DataFile& file, const TokenLayout& layout, const Maxima& word) {
  constexpr std::int64_t kEnough = 16;
  const std::uint64_t even = std::max(word[0], word[2]), odd = std::max(word[1], word[3]);
  const bool suspicious = (odd == 0 && even > 0) || (odd < 16 && even >= 256);
  if (layout.count < kEnough || !suspicious) return;
  const bool longest = odd == 0 && word[2] == 0 && layout.count % 4 == 0;
  const std::string bits = longest ? "64" : "32";
  throw InputError({"a .bin file without a header is read as uint16 tokens, and these are ids of " +
                        bits + " bits",
                    "hardly anything but 0 in every second place", "16 bits a token", file.path(),
                    "save them as a .npy file, which says its type: numpy.save(NAME, "
                    "numpy.fromfile(FILE, \"" +
                        std::string(longest ? "int64" : "uint32") + "\"))"});
}

}  // namespace

std::int64_t find_largest_token(const DataFile& file, const TokenLayout& layout,
                                std::int64_t vocabulary) {
  const Maxima maxima = layout.width == 2   ? find_maxima<std::uint16_t>(file, layout)
                        : layout.width == 4 ? find_maxima<std::uint32_t>(file, layout)
                                            : find_maxima<std::uint64_t>(file, layout);
  if (layout.guessed) refuse_longer_ids(file, layout, maxima);
  const std::uint64_t largest = *std::max_element(maxima.begin(), maxima.end());
  // A negative number, read as unsigned, is at least half of what the width holds.
  std::uint64_t limit =
      vocabulary != 0 ? static_cast<std::uint64_t>(vocabulary) : kLargestVocabulary;
  if (layout.is_signed) limit = std::min(limit, std::uint64_t{1} << (8 * layout.width - 1));
  if (largest >= limit) refuse_first_outside(file, layout, limit, largest);
  return static_cast<std::int64_t>(largest);
}

}  // namespace cllm
