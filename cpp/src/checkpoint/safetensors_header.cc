#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostExtents = 64;

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

[[noreturn]] void refuse_file(const std::string& where, const std::string& what,
                              const std::string& seen, const std::string& wanted) {
  throw InputError({what, seen, wanted, where, "the file is damaged or no safetensors file"});
}

std::int64_t dtype_bytes(const std::string& where, const std::string& dtype) {
  for (const DtypeSize& known : kDtypes) {
    if (dtype == known.name) return known.bytes;
  }
  refuse_file(where, "unknown dtype", "\"" + dtype + "\"", "a dtype such as F32, F16 or BF16");
}

std::string list_text(const std::vector<std::int64_t>& numbers) {
  std::string text = "[";
  for (const std::int64_t n : numbers) text += (text.size() > 1 ? "," : "") + std::to_string(n);
  return text + "]";
}

/// Gets the header's parts one by one as the parser reaches them, and stops at the first that is
/// wrong. The parser itself keeps its place in a list of its own and does not recurse.
class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::size_t data_begin, std::size_t data_size)
      : file_(file), data_begin_(data_begin), data_size_(data_size) {}

  std::vector<StoredTensor> tensors;

  // The parser calls these; true lets it continue.
  bool null() { return scalar("null"); }
  bool boolean(bool value) { return scalar(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) { return number(value, std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) {
    const bool fits = value <= static_cast<std::uint64_t>(INT64_MAX);
    return number(fits ? static_cast<std::int64_t>(value) : -1, std::to_string(value));
  }
  bool number_float(double, const std::string& text) { return scalar(text); }
  bool string(std::string& text) {
    if (place_ == Place::kValue && field_ == Field::kDtype) {
      set(dtype_, text);
      return leave_value();
    }
    return scalar("\"" + text + "\"");
  }
  bool binary(std::vector<std::uint8_t>&) { return scalar("binary data"); }

  bool start_object(std::size_t) {
    if (skipping_ > 0) {
      ++skipping_;
    } else if (place_ == Place::kStart) {
      place_ = Place::kNames;
    } else if (place_ == Place::kEntry) {
      place_ = Place::kFields;
    } else if (!begin_skipping()) {
      refuse_value("{...}");
    }
    return true;
  }
  bool key(std::string& name) {
    if (skipping_ > 0) return true;
    if (place_ == Place::kNames) return begin_entry(name);
    field_ = name == "dtype"          ? Field::kDtype
             : name == "shape"        ? Field::kShape
             : name == "data_offsets" ? Field::kRange
                                      : Field::kOther;
    place_ = Place::kValue;
    return true;
  }
  bool end_object() {
    if (skipping_ > 0) return end_skipping();
    if (place_ == Place::kFields) finish_entry();
    place_ = place_ == Place::kFields ? Place::kNames : Place::kEnd;
    return true;
  }
  bool start_array(std::size_t) {
    if (skipping_ > 0) {
      ++skipping_;
    } else if (place_ == Place::kValue && (field_ == Field::kShape || field_ == Field::kRange)) {
      set(list(), {});
      place_ = Place::kList;
    } else if (!begin_skipping()) {
      refuse_value("[...]");
    }
    return true;
  }
  bool end_array() {
    if (skipping_ > 0) return end_skipping();
    return leave_value();
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    refuse_file(file_, "header is not JSON", error.what(), "a JSON object");
  }

 private:
  enum class Place { kStart, kNames, kEntry, kFields, kValue, kList, kEnd };
  enum class Field { kDtype, kShape, kRange, kOther };

  std::string where() const { return file_ + ": tensor \"" + name_ + "\""; }

  template <class T>
  void set(std::optional<T>& field, const T& value) {
    if (field) refuse_file(where(), "a part is given twice", field_name(), "once");
    field = value;
  }
  const char* field_name() const noexcept {
    return field_ == Field::kDtype ? "dtype" : field_ == Field::kShape ? "shape" : "data_offsets";
  }
  std::optional<std::vector<std::int64_t>>& list() {
    return field_ == Field::kShape ? shape_ : range_;
  }

  bool begin_entry(const std::string& name) {
    if (name.empty()) refuse_file(file_, "tensor without a name", "\"\"", "a name");
    name_ = name;
    is_metadata_ = name == "__metadata__";
    dtype_.reset();
    shape_.reset();
    range_.reset();
    place_ = Place::kEntry;
    return true;
  }

  /// Skips a value that nobody asks for, whatever it holds.
  bool begin_skipping() {
    const bool of_metadata = place_ == Place::kEntry && is_metadata_;
    if (!of_metadata && !(place_ == Place::kValue && field_ == Field::kOther)) return false;
    skipping_ = 1;
    return true;
  }
  bool end_skipping() {
    if (--skipping_ == 0) leave_value();
    return true;
  }
  bool leave_value() {
    place_ = place_ == Place::kEntry ? Place::kNames : Place::kFields;
    return true;
  }

  bool scalar(const std::string& text) {
    if (skipping_ > 0) return true;
    if (begin_skipping()) return end_skipping();
    refuse_value(text);
  }
  bool number(std::int64_t value, const std::string& text) {
    if (skipping_ > 0 || place_ != Place::kList || value < 0) return scalar(text);
    if (list()->size() >= (field_ == Field::kShape ? kMostExtents : 2)) {
      refuse_file(
          where(), std::string("bad ") + field_name(), "more numbers",
          field_ == Field::kShape ? "at most " + std::to_string(kMostExtents) : "[begin, end]");
    }
    list()->push_back(value);
    return true;
  }

  [[noreturn]] void refuse_value(const std::string& seen) const {
    if (place_ == Place::kStart) refuse_file(file_, "header is no object", seen, "a JSON object");
    if (place_ == Place::kEntry) refuse_file(where(), "bad entry", seen, "an object");
    refuse_file(where(), std::string("bad ") + field_name(), seen,
                field_ == Field::kDtype   ? "a string"
                : place_ == Place::kList  ? "whole numbers from 0 to 2^63 - 1"
                : field_ == Field::kShape ? "an array"
                                          : "[begin, end]");
  }

  void finish_entry() {
    if (is_metadata_) return;
    if (!dtype_) refuse_file(where(), "no \"dtype\"", "", "one");
    if (!shape_) refuse_file(where(), "no \"shape\"", "", "one");
    if (!range_) refuse_file(where(), "no \"data_offsets\"", "", "one");
    if (range_->size() != 2) {
      refuse_file(where(), "bad data_offsets", list_text(*range_), "[begin, end]");
    }
    StoredTensor tensor{name_, *dtype_, *shape_, 1, 0};
    std::int64_t bytes = dtype_bytes(where(), tensor.dtype);
    bool large = false;
    for (const std::int64_t extent : tensor.shape) {
      large = large || __builtin_mul_overflow(tensor.elements, extent, &tensor.elements);
    }
    if (large || __builtin_mul_overflow(tensor.elements, bytes, &bytes)) {
      refuse_file(where(), "shape too large", list_text(tensor.shape), "a product below 2^63");
    }
    const std::int64_t begin = (*range_)[0], end = (*range_)[1];
    if (begin > end || static_cast<std::uint64_t>(end) > data_size_) {
      refuse_file(where(), "data_offsets outside the file", list_text(*range_),
                  "a range within " + std::to_string(data_size_) + " bytes of data");
    }
    if (end - begin != bytes) {
      refuse_file(where(), "byte range does not fit the shape",
                  std::to_string(end - begin) + " bytes",
                  std::to_string(bytes) + " for " + tensor.dtype + " " + list_text(tensor.shape));
    }
    tensor.begin = data_begin_ + static_cast<std::size_t>(begin);
    tensors.push_back(std::move(tensor));
  }

  const std::string& file_;
  const std::size_t data_begin_, data_size_;
  Place place_ = Place::kStart;
  Field field_ = Field::kOther;
  std::size_t skipping_ = 0;  // values that are open and skipped
  std::string name_;
  bool is_metadata_ = false;
  std::optional<std::string> dtype_;
  std::optional<std::vector<std::int64_t>> shape_, range_;
};

void check_names(const std::string& file, const std::vector<StoredTensor>& tensors) {
  std::vector<const std::string*> names;
  names.reserve(tensors.size());
  for (const StoredTensor& tensor : tensors) names.push_back(&tensor.name);
  std::sort(names.begin(), names.end(), [](auto* a, auto* b) { return *a < *b; });
  const auto twice =
      std::adjacent_find(names.begin(), names.end(), [](auto* a, auto* b) { return *a == *b; });
  if (twice != names.end()) {
    refuse_file(file, "tensor named twice", "\"" + **twice + "\"", "distinct names");
  }
}

/// Checks that every byte of data belongs to exactly one tensor. REQUIRES: sorted by begin.
void check_coverage(const std::string& file, const std::vector<StoredTensor>& tensors,
                    std::size_t data_begin, std::size_t file_size) {
  std::size_t next = data_begin;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin != next) {
      refuse_file(file + ": tensor \"" + tensor.name + "\"",
                  tensor.begin < next ? "data overlaps another tensor's" : "gap before the data",
                  "first byte " + std::to_string(tensor.begin - data_begin),
                  std::to_string(next - data_begin));
    }
    next += static_cast<std::size_t>(tensor.elements * dtype_bytes(file, tensor.dtype));
  }
  if (next != file_size) {
    refuse_file(file, "data behind the last tensor", std::to_string(file_size) + " bytes",
                std::to_string(next));
  }
}

}  // namespace

std::vector<StoredTensor> parse_safetensors_header(const std::string& file, std::string_view text,
                                                   std::size_t data_begin, std::size_t file_size) {
  HeaderReader reader(file, data_begin, file_size - data_begin);
  Json::sax_parse(text.begin(), text.end(), &reader);
  std::vector<StoredTensor>& tensors = reader.tensors;
  check_names(file, tensors);
  std::stable_sort(
      tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
        // A tensor without elements shares its first byte with its successor.
        return a.begin != b.begin ? a.begin<b.begin : (a.elements == 0)>(b.elements == 0);
      });
  check_coverage(file, tensors, data_begin, file_size);
  return std::move(tensors);
}

}  // namespace cllm
