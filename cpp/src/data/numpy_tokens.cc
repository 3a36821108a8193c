// NumPy's .npy files hold token ids behind a header: a mark, a length, and a Python dictionary.
#include <array>
#include <cctype>
#include <cstring>
#include <string>

#include "data/token_layout.h"

namespace cllm {
namespace {

constexpr const char* kSaveAgain = "save it again with numpy.save(NAME, ids.astype(\"uint16\"))";

/// Returns what follows 'key': in the dictionary, up to a comma outside parentheses or the end.
std::string value_of(const std::string& dictionary, const std::string& key) {
  const std::size_t at = dictionary.find("'" + key + "':");
  if (at == std::string::npos) return "";
  std::string value;
  int depth = 0;
  for (std::size_t i = at + key.size() + 3; i < dictionary.size(); ++i) {
    const char c = dictionary[i];
    depth += c == '(' || c == '[' ? 1 : 0;
    if (depth == 0 && (c == ',' || c == '}')) break;
    depth -= c == ')' || c == ']' ? 1 : 0;
    if (c != ' ') value += c;
  }
  return value;
}

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 40)) {
    out += std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '?';
  }
  return out;
}

/// Returns n of "(n,)"; -1 for another shape.
std::int64_t length_of(const std::string& shape) {
  if (shape.size() < 4 || shape.size() > 22 || shape[0] != '(') return -1;
  std::int64_t n = 0;
  std::size_t i = 1;
  for (; i < shape.size() && std::isdigit(static_cast<unsigned char>(shape[i])) != 0; ++i) {
    if (n > INT64_MAX / 10 - 1) return -1;
    n = 10 * n + (shape[i] - '0');
  }
  return i > 1 && shape.compare(i, std::string::npos, ",)") == 0 ? n : -1;
}

}  // namespace

TokenLayout find_numpy_tokens(const DataFile& file) {
  const auto refuse = [&](const std::string& what, const std::string& seen,
                          const std::string& wanted, const std::string& hint) {
    throw InputError({what, seen, wanted, file.path(), hint});
  };
  const std::vector<std::byte> start = file.head(12);
  const auto byte = [&](std::size_t i) {
    return i < start.size() ? std::to_integer<std::uint32_t>(start[i]) : 0;
  };
  const std::uint32_t version = byte(6);
  const std::size_t header_at = version == 1 ? 10 : 12;
  const std::uint32_t length =
      byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (version < 1 || version > 3 || file.size() < header_at + length || length > 65536) {
    refuse("a NumPy array whose header cannot be read", "version " + std::to_string(version),
           "1 to 3, with a whole header", kSaveAgain);
  }
  std::string header(length, '\0');
  file.read(header_at, header.data(), length);

  struct Type {
    const char* name;
    int width;
    bool is_signed;
  };
  constexpr std::array<Type, 6> kTypes = {{{"'<u2'", 2, false},
                                           {"'<u4'", 4, false},
                                           {"'<u8'", 8, false},
                                           {"'<i2'", 2, true},
                                           {"'<i4'", 4, true},
                                           {"'<i8'", 8, true}}};
  TokenLayout layout;
  layout.kind = "NumPy tokens";
  layout.begin = header_at + length;
  const std::string type = value_of(header, "descr");
  const Type* known = nullptr;
  for (const Type& t : kTypes) known = type == t.name ? &t : known;
  if (known == nullptr) {
    refuse("a NumPy array that holds no token ids of 16 to 64 bits", printable(type),
           "little-endian integers: <u2, <u4, <i4 or <i8", kSaveAgain);
  }
  layout.width = known->width;
  layout.is_signed = known->is_signed;
  const std::string shape = value_of(header, "shape");
  layout.count = length_of(shape);
  if (layout.count < 0) {
    refuse("a NumPy array that is not one row of token ids", "shape " + printable(shape),
           "one dimension: (tokens,)",
           "save all tokens one after the other: numpy.save(NAME, ids.reshape(-1))");
  }
  const std::uint64_t room =
      (file.size() - layout.begin) / static_cast<std::uint64_t>(layout.width);
  if (static_cast<std::uint64_t>(layout.count) != room || layout.end() != file.size()) {
    refuse("the NumPy array does not have the size that its header tells",
           std::to_string(file.size() - layout.begin) + " bytes after the header",
           std::to_string(layout.count) + " tokens of " + std::to_string(layout.width) + " bytes",
           "the file is damaged or cut short: copy or write it again");
  }
  return layout;
}

}  // namespace cllm
