// A seed draws changes to the bytes of a file, such as disks, editors and attackers make.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/rng.h"

namespace cllm {

/// Draws numbers for test number `seed`, the same on every machine.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  /// Returns a number below n. REQUIRES: n > 0.
  std::size_t below(std::size_t n) {
    return static_cast<std::size_t>(
        random_bits64(random_block(seed_, RandomStream::kTest, 77, drawn_++), 0) % n);
  }
  template <class List>
  const auto& one_of(const List& list) {
    return list[below(std::size(list))];
  }

 private:
  const std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

/// These texts replace a number, a name or a value.
constexpr std::array kAbsurd = {"-1",
                                "0",
                                "1e308",
                                "1e999",
                                "-1e-999",
                                "18446744073709551615",
                                "9223372036854775807",
                                "-9223372036854775808",
                                "4611686018427387904",
                                "16777216",
                                "99999999999999999999999",
                                "nan",
                                "null",
                                "true",
                                "\"\"",
                                "[]",
                                "{}",
                                "[[[[[[]]]]]]",
                                "\"../../x\"",
                                "\"\\u0000\"",
                                "0.1",
                                "2147483648"};

/// Replaces the run of digits or letters at a drawn place.
inline void replace_word(std::string& bytes, Draws& draws) {
  const auto part = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '+';
  };
  if (bytes.empty()) return;
  std::size_t begin = draws.below(bytes.size());
  while (begin < bytes.size() && !part(bytes[begin])) ++begin;
  while (begin > 0 && part(bytes[begin - 1])) --begin;
  std::size_t end = begin;
  while (end < bytes.size() && part(bytes[end])) ++end;
  bytes.replace(begin, end - begin, draws.one_of(kAbsurd));
}

/// Makes one change, or a few of one kind. `other` is the same file of another run.
inline void mutate(std::string& bytes, const std::string& other, Draws& draws) {
  const std::size_t at = bytes.empty() ? 0 : draws.below(bytes.size() + 1);
  switch (draws.below(12)) {
    case 0:
    case 1:
      for (std::size_t n = 1 + draws.below(4); n > 0 && !bytes.empty(); --n) {
        char& byte = bytes[draws.below(bytes.size())];
        byte = static_cast<char>(byte ^ (1 << draws.below(8)));
      }
      return;
    case 2:
      bytes.resize(at);
      return;
    case 3:
      bytes.append(1 + draws.below(5000), static_cast<char>(draws.below(256)));
      return;
    case 4:
      bytes = other;
      return;
    case 5: {
      const std::size_t depth = std::size_t{1} << draws.below(19);
      bytes.insert(at, std::string(depth, draws.below(2) == 0 ? '[' : '{'));
      return;
    }
    case 6: {
      const std::size_t depth = std::size_t{1} << draws.below(19);
      bytes = "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
      return;
    }
    case 7:
    case 8:
    case 9:
      replace_word(bytes, draws);
      return;
    case 10:  // the first bytes of a safetensors file are a length
      for (std::size_t i = 0; i < std::min<std::size_t>(8, bytes.size()); ++i) {
        bytes[i] = static_cast<char>(draws.below(3) == 0 ? 0xFF : draws.below(256));
      }
      return;
    default:
      if (at < bytes.size()) bytes.erase(at, 1 + draws.below(bytes.size() - at));
  }
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void put_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace cllm
