#include "checkpoint/safetensors.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/file_calls.h"
#include "base/files.h"
#include "base/finite.h"
#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLengthBytes = 8;

[[noreturn]] void refuse_file(const std::string& where, const std::string& what,
                              const std::string& seen, const std::string& wanted) {
  throw InputError({what, seen, wanted, where, "the file is damaged or no safetensors file"});
}

constexpr std::size_t kPiece = 1 << 16;  // numbers converted at once

/// Hands numbers to `sink`, rounded to 16 bits.
void emit_halves(const TensorView& tensor, std::size_t count, WeightType type,
                 const ByteSink& sink) {
  const auto round = type == WeightType::kBfloat16 ? to_bfloat16 : to_float16;
  const auto widen = type == WeightType::kBfloat16 ? from_bfloat16 : from_float16;
  std::vector<std::uint16_t> halves(std::min(count, kPiece));
  for (std::size_t done = 0; done < count; done += halves.size()) {
    halves.resize(std::min(halves.size(), count - done));
    for (std::size_t i = 0; i < halves.size(); ++i) {
      const float value = tensor.data[done + i];
      halves[i] = round(value);
      if (is_finite(value) && !is_finite(widen(halves[i]))) {
        throw InputError({"a weight is too large for this type", std::to_string(value),
                          type == WeightType::kFloat16 ? "at most 65504" : "at most 3.39e38",
                          "tensor \"" + tensor.name + "\" as " + dtype_name(type),
                          "save it as fp32"});
      }
    }
    sink(halves.data(), halves.size() * sizeof halves[0]);
  }
}

}  // namespace

void emit_safetensors(const std::vector<TensorView>& tensors, const ByteSink& sink,
                      WeightType type) {
  Json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::int64_t offset = 0;
  std::vector<std::size_t> counts;
  for (const TensorView& tensor : tensors) {
    std::int64_t count = 1;
    for (const std::int64_t extent : tensor.shape) count *= extent;
    const std::int64_t end = offset + count * static_cast<std::int64_t>(bytes_of(type));
    header[tensor.name] = {
        {"dtype", dtype_name(type)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
    counts.push_back(static_cast<std::size_t>(count));
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  sink(&length, kLengthBytes);
  sink(text.data(), text.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (type == WeightType::kFloat32) {
      sink(tensors[i].data, counts[i] * sizeof(float));
    } else {
      emit_halves(tensors[i], counts[i], type, sink);
    }
  }
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  std::size_t size = 0;
  file_ = open_for_reading(path, &size);
  if (size < kLengthBytes) {
    refuse_file(path, "file too short", std::to_string(size) + " bytes", "at least 8");
  }
  std::uint64_t length = 0;
  read_bytes(0, &length, kLengthBytes);
  const std::uint64_t most = std::min<std::uint64_t>(kMaxSafetensorsHeader, size - kLengthBytes);
  if (length > most) {
    refuse_file(path, "header length outside the file", std::to_string(length),
                "at most " + std::to_string(most));
  }
  std::string header(static_cast<std::size_t>(length), '\0');
  read_bytes(kLengthBytes, header.data(), header.size());
  tensors_ = parse_safetensors_header(path, header, kLengthBytes + header.size(), size);
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return tensors_[a].name < tensors_[b].name;
  });
}

const StoredTensor* SafetensorsFile::find(const std::string& name) const noexcept {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](std::uint32_t at, const std::string& wanted) { return tensors_[at].name < wanted; });
  if (found == by_name_.end() || tensors_[*found].name != name) return nullptr;
  return &tensors_[*found];
}

void SafetensorsFile::read_bytes(std::size_t begin, void* out, std::size_t size) const {
  char* const to = static_cast<char*>(out);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        file_calls().pread(file_.get(), to + done, size - done, static_cast<off_t>(begin + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_system_error("cannot read file", path_, errno);
    if (got == 0) refuse_file(path_, "file became shorter while it was read", "", "");
    done += static_cast<std::size_t>(got);
  }
}

void SafetensorsFile::read(const StoredTensor& tensor, float* out) const {
  const auto count = static_cast<std::size_t>(tensor.elements);
  if (tensor.dtype == "F32") return read_bytes(tensor.begin, out, count * sizeof(float));
  if (tensor.dtype != "F16" && tensor.dtype != "BF16") {
    throw InputError({"dtype cannot be read as float", tensor.dtype, "F32, F16 or BF16",
                      path_ + ": tensor \"" + tensor.name + "\"", ""});
  }
  const auto widen = tensor.dtype == "BF16" ? from_bfloat16 : from_float16;
  std::vector<std::uint16_t> halves(std::min(count, kPiece));
  for (std::size_t done = 0; done < count; done += halves.size()) {
    halves.resize(std::min(halves.size(), count - done));
    read_bytes(tensor.begin + done * sizeof halves[0], halves.data(),
               halves.size() * sizeof halves[0]);
    for (std::size_t i = 0; i < halves.size(); ++i) out[done + i] = widen(halves[i]);
  }
}

}  // namespace cllm
