#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/mapped_file.h"
#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the limit of the reference reader

struct DtypeSize {
  const char* name;
  std::int64_t bytes;
};
constexpr std::array<DtypeSize, 15> kDtypes = {{{"F64", 8},
                                                {"F32", 4},
                                                {"F16", 2},
                                                {"BF16", 2},
                                                {"I64", 8},
                                                {"I32", 4},
                                                {"I16", 2},
                                                {"I8", 1},
                                                {"U64", 8},
                                                {"U32", 4},
                                                {"U16", 2},
                                                {"U8", 1},
                                                {"BOOL", 1},
                                                {"F8_E4M3", 1},
                                                {"F8_E5M2", 1}}};

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& seen,
                         const std::string& wanted) {
  constexpr std::size_t kEnough = 200;  // a damaged header may be megabytes
  throw InputError({what, seen.size() > kEnough ? seen.substr(0, kEnough) + "..." : seen, wanted,
                    where, "the file is damaged or no safetensors file"});
}

std::int64_t dtype_bytes(const std::string& where, const std::string& dtype) {
  for (const DtypeSize& known : kDtypes) {
    if (dtype == known.name) return known.bytes;
  }
  refuse(where, "unknown dtype", "\"" + dtype + "\"", "a dtype such as F32, F16 or BF16");
}

/// A member that must be there; `where` names the file and the tensor.
const Json& member(const std::string& where, const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) refuse(where, std::string("no \"") + key + "\"", object.dump(), "one");
  return *found;
}

std::int64_t whole_number(const std::string& where, const Json& value, const char* of) {
  // Values above int64's range are stored by the parser as unsigned and come out negative here.
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= 0) return number;
  }
  refuse(where, std::string("bad ") + of, value.dump(), "a whole number from 0 to 2^63 - 1");
}

StoredTensor parse_tensor(const std::string& file, const std::string& name, const Json& value,
                          std::size_t data_begin, std::size_t data_size) {
  const std::string where = file + ": tensor \"" + name + "\"";
  if (!value.is_object()) refuse(where, "bad entry", value.dump(), "an object");
  const Json& dtype = member(where, value, "dtype");
  const Json& shape = member(where, value, "shape");
  const Json& range = member(where, value, "data_offsets");
  if (!dtype.is_string()) refuse(where, "bad dtype", dtype.dump(), "a string");
  if (!shape.is_array()) refuse(where, "bad shape", shape.dump(), "an array");
  if (!range.is_array() || range.size() != 2) {
    refuse(where, "bad data_offsets", range.dump(), "[begin, end]");
  }

  StoredTensor tensor{name, dtype.get<std::string>(), {}, 1, 0};
  std::int64_t bytes = dtype_bytes(where, tensor.dtype);
  for (const Json& extent : shape) {
    tensor.shape.push_back(whole_number(where, extent, "shape"));
    if (__builtin_mul_overflow(tensor.elements, tensor.shape.back(), &tensor.elements)) {
      refuse(where, "shape too large", shape.dump(), "a product below 2^63");
    }
  }
  if (__builtin_mul_overflow(tensor.elements, bytes, &bytes)) {
    refuse(where, "shape too large", shape.dump(), "a product below 2^63");
  }
  const std::int64_t begin = whole_number(where, range[0], "data_offsets");
  const std::int64_t end = whole_number(where, range[1], "data_offsets");
  if (begin > end || static_cast<std::uint64_t>(end) > data_size) {
    refuse(where, "data_offsets outside the file", range.dump(),
           "a range within " + std::to_string(data_size) + " bytes of data");
  }
  if (end - begin != bytes) {
    refuse(where, "byte range does not fit the shape", std::to_string(end - begin) + " bytes",
           std::to_string(bytes) + " for " + tensor.dtype + " " + shape.dump());
  }
  tensor.begin = data_begin + static_cast<std::size_t>(begin);
  return tensor;
}

Json parse_header(const std::string& file, const char* text, std::size_t size) {
  // The parser keeps the last of two equal keys; a file with two tensors of one name is broken.
  std::set<std::string> names;
  std::string twice;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key && depth == 1 &&
        !names.insert(value.get<std::string>()).second) {
      twice = value.get<std::string>();
    }
    return true;
  };
  Json header;
  try {
    header = Json::parse(text, text + size, watch);
  } catch (const nlohmann::json::exception& error) {
    refuse(file, "header is not JSON", error.what(), "a JSON object");
  }
  if (!header.is_object()) refuse(file, "header is no object", header.type_name(), "a JSON object");
  if (!twice.empty()) refuse(file, "tensor named twice", "\"" + twice + "\"", "distinct names");
  return header;
}

/// REQUIRES: sorted by begin. Every byte of data belongs to exactly one tensor.
void check_coverage(const std::string& file, const std::vector<StoredTensor>& tensors,
                    std::size_t data_begin, std::size_t file_size) {
  std::size_t next = data_begin;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin != next) {
      refuse(file + ": tensor \"" + tensor.name + "\"",
             tensor.begin < next ? "data overlaps another tensor's" : "gap before the data",
             "first byte " + std::to_string(tensor.begin - data_begin),
             std::to_string(next - data_begin));
    }
    next += static_cast<std::size_t>(tensor.elements * dtype_bytes(file, tensor.dtype));
  }
  if (next != file_size) {
    refuse(file, "data behind the last tensor", std::to_string(file_size) + " bytes",
           std::to_string(next));
  }
}

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// IEEE binary16, subnormals, infinities and NaN included.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu, mantissa = half & 0x3ffu;
  if (exponent == 31) return from_bits(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

}  // namespace

void emit_safetensors(const std::vector<TensorView>& tensors, const ByteSink& sink) {
  Json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::int64_t offset = 0;
  std::vector<std::size_t> sizes;
  for (const TensorView& tensor : tensors) {
    std::int64_t bytes = sizeof(float);
    for (const std::int64_t extent : tensor.shape) bytes *= extent;
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
    sizes.push_back(static_cast<std::size_t>(bytes));
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  sink(&length, kLengthBytes);
  sink(text.data(), text.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) sink(tensors[i].data, sizes[i]);
}

class SafetensorsFile::Bytes {
 public:
  explicit Bytes(const std::string& path) : file_(path) {}
  const char* data() const { return reinterpret_cast<const char*>(file_.data()); }
  std::size_t size() const { return file_.size(); }

 private:
  MappedFile file_;
};

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path), bytes_(std::make_unique<Bytes>(path)) {
  const std::size_t size = bytes_->size();
  if (size < kLengthBytes) {
    refuse(path, "file too short", std::to_string(size) + " bytes", "at least 8");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes_->data(), kLengthBytes);
  if (length > kMaxHeader || length > size - kLengthBytes) {
    refuse(path, "header length outside the file", std::to_string(length),
           "at most " + std::to_string(std::min<std::uint64_t>(kMaxHeader, size - kLengthBytes)));
  }
  const std::size_t data_begin = kLengthBytes + length;
  const Json header = parse_header(path, bytes_->data() + kLengthBytes, length);
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    if (name.empty()) refuse(path, "tensor without a name", "\"\"", "a name");
    tensors_.push_back(parse_tensor(path, name, value, data_begin, size - data_begin));
  }
  std::stable_sort(
      tensors_.begin(), tensors_.end(), [](const StoredTensor& a, const StoredTensor& b) {
        // Tensors without elements share their first byte with their successor.
        return a.begin != b.begin ? a.begin<b.begin : (a.elements == 0)>(b.elements == 0);
      });
  check_coverage(path, tensors_, data_begin, size);
}

SafetensorsFile::~SafetensorsFile() = default;

const StoredTensor* SafetensorsFile::find(const std::string& name) const noexcept {
  for (const StoredTensor& tensor : tensors_) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

void SafetensorsFile::read(const StoredTensor& tensor, float* out) const {
  const char* const data = bytes_->data() + tensor.begin;  // of any alignment
  const auto count = static_cast<std::size_t>(tensor.elements);
  if (tensor.dtype == "F32") {
    if (count > 0) std::memcpy(out, data, count * sizeof(float));
    return;
  }
  if (tensor.dtype != "F16" && tensor.dtype != "BF16") {
    throw InputError({"dtype cannot be read as float", tensor.dtype, "F32, F16 or BF16",
                      path_ + ": tensor \"" + tensor.name + "\"", ""});
  }
  const bool brain = tensor.dtype == "BF16";
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
    out[i] = brain ? from_bits(static_cast<std::uint32_t>(bits) << 16) : half_to_float(bits);
  }
}

}  // namespace cllm
