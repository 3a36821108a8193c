// Weights in several files that an index names, and in 16 bits, are those of one file of 32.
#include "checkpoint/weight_files.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/files.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "checkpoint/weight_type.h"
#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string file_text(const std::vector<TensorView>& tensors,
                      WeightType type = WeightType::kFloat32) {
  std::string bytes;
  emit_safetensors(
      tensors,
      [&](const void* data, std::size_t size) {
        bytes.append(static_cast<const char*>(data), size);
      },
      type);
  return bytes;
}

class WeightIndex : public testing::Test {
 protected:
  WeightIndex() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      parameters_[i] = static_cast<float>(i % 251) * 0.25f - 8;
    }
    for (const TensorEntry& entry : layout_.tensors()) {  // zeros between them
      const std::int64_t end = entry.offset + entry.size;
      const auto next = std::min<std::int64_t>((end + 15) / 16 * 16, layout_.flat_size());
      std::fill(parameters_.begin() + end, parameters_.begin() + next, 0.0f);
    }
    write_model_folder(folder_, config_, layout_, parameters_.data(), true);
    fs::remove(folder_ + "/manifest.json");
    fs::remove(folder_ + "/model.safetensors");
    views_ = model_views(layout_, parameters_.data());
    const std::ptrdiff_t half = static_cast<std::ptrdiff_t>(views_.size()) / 2;
    first_ = {views_.begin(), views_.begin() + half};
    second_ = {views_.begin() + half, views_.end()};
    write(first_, second_);
    for (const TensorView& view : first_) index_["weight_map"][view.name] = "a.safetensors";
    for (const TensorView& view : second_) index_["weight_map"][view.name] = "b.safetensors";
    index_["metadata"] = {{"total_size", 7}};
  }
  void write(const std::vector<TensorView>& a, const std::vector<TensorView>& b) {
    root_.file("model/a.safetensors", file_text(a));
    root_.file("model/b.safetensors", file_text(b));
  }
  std::vector<float> read() {
    root_.file("model/model.safetensors.index.json", index_.dump());
    std::vector<float> out(parameters_.size(), -1.0f);
    read_model_parameters(folder_, layout_, out.data());
    return out;
  }
  std::string complaint() {
    return message_of<InputError>([this] { read(); });
  }

  TemporaryFolder root_;
  const std::string folder_ = root_ / "model";
  const ModelConfig config_{2, 3, 15, 7, 261};
  const ParameterLayout layout_{config_};
  std::vector<float> parameters_ = std::vector<float>(layout_.flat_size());
  std::vector<TensorView> views_, first_, second_;
  Json index_;
};

TEST_F(WeightIndex, NamesTheFileOfEachTensor) {
  EXPECT_EQ(read(), parameters_);
  EXPECT_TRUE(read_model_config(folder_).config == config_);
  EXPECT_EQ(weight_file_names(folder_),
            (std::vector<std::string>{"a.safetensors", "b.safetensors"}));
  root_.file("model/model.safetensors", file_text(views_));
  root_.file("model/a.safetensors", "damaged");
  EXPECT_EQ(read(), parameters_) << "one file counts more than an index";
}

TEST_F(WeightIndex, NamesAFileThatIsMissing) {
  fs::remove(folder_ + "/b.safetensors");
  EXPECT_TRUE(has(complaint(), "a file of weights is missing: got b.safetensors")) << complaint();
}

TEST_F(WeightIndex, ATensorMustBeWhereItSays) {
  index_["weight_map"][first_.front().name] = "b.safetensors";
  EXPECT_TRUE(has(complaint(), "in another one than the index says")) << complaint();
  index_["weight_map"].erase(first_.front().name);
  EXPECT_TRUE(has(complaint(), "a tensor is not in the index")) << complaint();
  index_["weight_map"][first_.front().name] = "a.safetensors";
  index_["weight_map"]["more"] = "a.safetensors";
  EXPECT_TRUE(has(complaint(), "not where the index says: got \"more\"")) << complaint();
}

TEST_F(WeightIndex, ATensorMustBeInOneFile) {
  second_.push_back(first_.front());
  write(first_, second_);
  EXPECT_TRUE(has(complaint(), "a tensor is in two files")) << complaint();
}

TEST_F(WeightIndex, NamesFilesBesideIt) {
  for (const char* name : {"../a.safetensors", "/etc/passwd", "", "a.bin", ".safetensors", "..",
                           ".hidden.safetensors"}) {
    index_["weight_map"][first_.front().name] = name;
    EXPECT_TRUE(has(complaint(), "no name of a file of weights")) << name;
  }
  index_["weight_map"][first_.front().name] = 7;
  EXPECT_TRUE(has(complaint(), "got 7")) << complaint();
}

TEST(WeightIndexText, MustBeAnIndex) {
  for (const char* text : {"", "{", "[]", "7", "{}", "{\"weight_map\": []}", "{\"weight_map\": {}}",
                           "{\"weight_map\": \"a.safetensors\"}"}) {
    EXPECT_THROW(parse_weight_index(text, "index.json"), InputError) << text;
  }
  Json many;
  for (int i = 0; i < 2000; ++i) {
    many["weight_map"][std::to_string(i)] = std::to_string(i) + ".safetensors";
  }
  EXPECT_TRUE(
      has(message_of<InputError>([&] { parse_weight_index(many.dump(), "x"); }), "too many files"));
}

// -- 16 bits --------------------------------------------------------------------------------------

TEST(WeightType, EveryNumberOf16BitsComesBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    EXPECT_TRUE(std::isnan(from_bfloat16(bits)) || to_bfloat16(from_bfloat16(bits)) == bits) << i;
    EXPECT_TRUE(std::isnan(from_float16(bits)) || to_float16(from_float16(bits)) == bits) << i;
  }
}

/// Goes over the numbers between neighbours: the nearer is taken and, half-way, the even one.
TEST(WeightType, RoundsToTheNearest) {
  const auto check = [](auto to, auto from, std::uint32_t last) {
    for (std::uint32_t i = 0; i + 1 <= last; ++i) {
      const float low = from(static_cast<std::uint16_t>(i));
      const float high = from(static_cast<std::uint16_t>(i + 1));
      const float middle = static_cast<float>((double{low} + high) / 2);
      ASSERT_EQ(to(middle), i + i % 2) << low;
      ASSERT_EQ(to(std::nextafter(middle, 0.0f)), i) << low;
      ASSERT_EQ(to(std::nextafter(middle, INFINITY)), i + 1) << low;
      ASSERT_EQ(to(-middle), 0x8000u + i + i % 2) << low;
    }
  };
  check(to_float16, from_float16, 0x7BFF);
  check(to_bfloat16, from_bfloat16, 0x7F7F);
  EXPECT_EQ(to_float16(65519.0f), 0x7BFFu);
  EXPECT_EQ(to_float16(65520.0f), 0x7C00u);
  EXPECT_TRUE(std::isnan(from_float16(to_float16(NAN))));
  EXPECT_TRUE(std::isnan(from_bfloat16(to_bfloat16(NAN))));
}

TEST(WeightType, IsWrittenAndRead) {
  TemporaryFolder root;
  const std::vector<float> values = {0, -1.5f, 3.14159f, 1e-7f, -65504, 12345.678f};
  const std::vector<TensorView> views = {{"x", {2, 3}, values.data()}};
  for (const WeightType type :
       {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kFloat16}) {
    root.file("x.safetensors", file_text(views, type));
    const SafetensorsFile file(root / "x.safetensors");
    EXPECT_EQ(file.find("x")->dtype, dtype_name(type));
    std::vector<float> found(values.size());
    file.read(*file.find("x"), found.data());
    const float step = type == WeightType::kFloat32    ? 0
                       : type == WeightType::kBfloat16 ? 0x1p-8f
                                                       : 0x1p-11f;
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(found[i], values[i], std::fabs(values[i]) * step + 0x1p-24f);
    }
  }
}

TEST(WeightType, ANumberThatDoesNotFitIsRefused) {
  const std::vector<float> values = {70000};
  const std::vector<TensorView> views = {{"x", {1}, values.data()}};
  EXPECT_TRUE(has(message_of<InputError>([&] { file_text(views, WeightType::kFloat16); }),
                  "a weight is too large for this type: got 70000"));
  EXPECT_NO_THROW(file_text(views, WeightType::kBfloat16));
}

TEST(WeightType, AFolderSaysWhichItHas) {
  TemporaryFolder root;
  const ModelConfig config{1, 1, 16, 7, 261};
  const ParameterLayout layout(config);
  std::vector<float> parameters(static_cast<std::size_t>(layout.flat_size()), 0.5f);
  write_model_folder(root / "half", config, layout, parameters.data(), true, {},
                     WeightType::kBfloat16);
  EXPECT_TRUE(has(read_text_file(root / "half/config.json"), "\"dtype\": \"bfloat16\""));
  std::vector<float> out(parameters.size());
  read_model_parameters(root / "half", layout, out.data());
  EXPECT_EQ(out[3], 0.5f);
}

}  // namespace
}  // namespace cllm
