// Safetensors that are written can be read, their bytes are fixed, and every damaged file is
// refused.
#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <vector>

#include "base/files.h"
#include "cllm/error.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

std::string emitted(const std::vector<TensorView>& tensors) {
  std::string bytes;
  emit_safetensors(tensors, [&](const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
  });
  return bytes;
}

/// A file with the given header text and data.
std::string assembled(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

const std::vector<float> kA = {1.0f, -2.5f, 3e-40f, 4e30f, -0.0f, 6.0f};
const std::vector<float> kB = {7.0f};

std::string sample() {
  return emitted(
      {{"b.weight", {2, 3}, kA.data()}, {"a", {1}, kB.data()}, {"none", {0, 4}, nullptr}});
}

TEST(Safetensors, BytesAreExactlyThese) {
  const std::string header = R"({"__metadata__":{"format":"pt"},)"
                             R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                             R"("a":{"dtype":"F32","shape":[1],"data_offsets":[24,28]},)"
                             R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[28,28]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  std::string data(28, '\0');
  std::memcpy(data.data(), kA.data(), 24);
  std::memcpy(data.data() + 24, kB.data(), 4);
  EXPECT_EQ(sample(), assembled(padded, data));
}

TEST(Safetensors, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const SafetensorsFile file(folder.file("x", sample()));
  ASSERT_EQ(file.tensors().size(), 3u);
  const StoredTensor* const a = file.find("b.weight");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (std::vector<std::int64_t>{2, 3}));
  std::vector<float> values(6);
  file.read(*a, values.data());
  EXPECT_EQ(std::memcmp(values.data(), kA.data(), 24), 0);
  EXPECT_EQ(file.find("c"), nullptr);
}

TEST(Safetensors, ConvertsHalves) {
  // One value of every kind: 1, -2, largest, smallest normal, smallest subnormal, -0, inf, NaN.
  const std::vector<std::uint16_t> half = {0x3c00, 0xc000, 0x7bff, 0x0400,
                                           0x0001, 0x8000, 0xfc00, 0x7e01};
  const std::vector<std::uint16_t> brain = {0x3f80, 0xc000, 0x7f7f, 0x8000};
  std::string data(24, '\0');
  std::memcpy(data.data(), half.data(), 16);
  std::memcpy(data.data() + 16, brain.data(), 8);
  const TemporaryFolder folder;
  // A header of odd length: the data of other writers need not be aligned.
  const SafetensorsFile file(
      folder.file("x", assembled(R"({"h":{"dtype":"F16","shape":[8],"data_offsets":[0,16]},)"
                                 R"( "b":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]}} )",
                                 data)));
  std::vector<float> h(8), b(4);
  file.read(*file.find("h"), h.data());
  file.read(*file.find("b"), b.data());
  EXPECT_EQ(std::vector<float>(h.begin(), h.begin() + 6),
            (std::vector<float>{1, -2, 65504, 0x1p-14f, 0x1p-24f, 0}));
  EXPECT_TRUE(std::signbit(h[5]));
  EXPECT_EQ(h[6], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(h[7]));
  EXPECT_EQ(b, (std::vector<float>{1, -2, 0x1.fep127f, 0}));
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  const std::string whole = sample();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string path = folder.file("x", whole.substr(0, size));
    const std::string message = message_of<InputError>([&] { SafetensorsFile file(path); });
    EXPECT_NE(message.find(path), std::string::npos) << "cut at " << size << ": " << message;
    std::filesystem::remove(path);
  }
  EXPECT_NE(message_of<InputError>([&] { SafetensorsFile f(folder.file("x", whole + '\0')); }), "");
}

TEST(Safetensors, HeaderFlipsAreRefusedOrHarmless) {
  // A flipped bit may still make a valid header (another name, say): then reading stays in bounds,
  // which the address sanitizer watches. Anything but InputError fails the test.
  const TemporaryFolder folder;
  const std::string whole = sample();
  const std::size_t header = whole.size() - 28;
  int refused = 0, accepted = 0;
  for (std::size_t bit = 0; bit < header * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const std::string path = folder.file("x", bytes);
    try {
      const SafetensorsFile file(path);
      for (const StoredTensor& tensor : file.tensors()) {
        std::vector<float> values(static_cast<std::size_t>(tensor.elements));
        if (tensor.dtype == "F32") file.read(tensor, values.data());
      }
      ++accepted;
    } catch (const InputError&) {
      ++refused;
    }
    std::filesystem::remove(path);  // ext4 flushes a file that is cut and rewritten
  }
  EXPECT_GT(refused, accepted);
  EXPECT_GT(accepted, 0);
}

TEST(Safetensors, RefusesBadHeaders) {
  const std::string data(8, '\0');
  const struct {
    const char* header;
    const char* complaint;
  } cases[] = {
      {R"([])", "header is no object"},
      {R"({"a":)", "header is not JSON"},
      {"{\"a\xff\":{}}", "header is not JSON"},
      {R"({"a":3})", "bad entry"},
      {R"({"a":{"shape":[2],"data_offsets":[0,8]}})", "no \"dtype\""},
      {R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", "bad dtype"},
      {R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", "unknown dtype"},
      {R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", "bad shape"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "bad shape"},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "bad shape"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551614],"data_offsets":[0,8]}})", "bad shape"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       "shape too large"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}})",
       "shape too large"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", "bad data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "outside the file"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", "outside the file"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", "does not fit the shape"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "gap before"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "behind the last"},
      {R"({})", "behind the last"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "overlaps"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "named twice"},
      {R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "without a name"},
  };
  const TemporaryFolder folder;
  for (const auto& c : cases) {
    const std::string path = folder.file("x", assembled(c.header, data));
    const std::string message = message_of<InputError>([&] { SafetensorsFile file(path); });
    EXPECT_NE(message.find(c.complaint), std::string::npos) << c.header << " gave: " << message;
  }
}

TEST(Safetensors, OtherDtypesArePassedOverButNotReadAsFloat) {
  const TemporaryFolder folder;
  const SafetensorsFile file(folder.file(
      "x",
      assembled(R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", std::string(8, 1))));
  ASSERT_EQ(file.tensors().size(), 1u);
  float value = 0;
  EXPECT_THROW(file.read(file.tensors()[0], &value), InputError);
}

}  // namespace
}  // namespace cllm
