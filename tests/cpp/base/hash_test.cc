// CRC-32C and SHA-256 match published vectors, however the bytes are cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/crc32c.h"
#include "base/sha256.h"

namespace cllm {
namespace {

std::string counting(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

std::uint32_t crc(const std::string& bytes) { return crc32c(bytes.data(), bytes.size()); }

TEST(Crc32c, PublishedVectors) {
  EXPECT_EQ(crc(""), 0u);
  EXPECT_EQ(crc("123456789"), 0xE3069283u);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc(counting(32)), 0x46DD794Eu);
}

TEST(Crc32c, EveryCutAndMisalignmentGivesTheSame) {
  const std::string bytes = counting(67);
  const std::uint32_t whole = crc(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::uint32_t first = crc32c(bytes.data(), cut);
    EXPECT_EQ(crc32c(bytes.data() + cut, bytes.size() - cut, first), whole) << cut;
  }
}

TEST(Crc32c, NoticesEveryFlippedBit) {
  std::string bytes = counting(40);
  const std::uint32_t whole = crc(bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(crc(bytes), whole) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, TheCpusInstructionsAndPortableCodeAgree) {
  const std::string bytes = counting(1000);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    Sha256 portable(true), own;
    portable.update(bytes.data(), size);
    own.update(bytes.data(), size);
    EXPECT_EQ(hex(portable.finish()), hex(own.finish())) << size;
  }
}

TEST(Sha256, EveryCutGivesTheSame) {
  const std::string bytes = counting(200);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const Sha256Digest whole = sha256({bytes.data(), size});
    for (const std::size_t step : {1u, 3u, 63u, 64u, 65u}) {
      Sha256 hash;
      for (std::size_t at = 0; at < size; at += step) {
        hash.update(bytes.data() + at, std::min(step, size - at));
      }
      EXPECT_EQ(hash.finish(), whole) << size << " bytes by " << step;
    }
  }
}

}  // namespace
}  // namespace cllm
