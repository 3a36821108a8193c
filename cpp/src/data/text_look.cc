#include "data/text_look.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace cllm {
namespace {

constexpr std::string_view kMarker = "<|endoftext|>";
constexpr std::uint64_t kPieces = 64;

/// Checks UTF-8 (RFC 3629: no surrogates, nothing overlong) byte by byte, over consecutive pieces.
class Utf8Reader {
 public:
  void read(Span<const std::byte> bytes, TextLook& look) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (wanted_ == 0) {
        i = skip_ascii(bytes, i);
        if (i == bytes.size()) return;
      }
      const auto byte = std::to_integer<unsigned>(bytes[i]);
      look.beyond_ascii += byte >= 0x80 ? 1 : 0;
      if (wanted_ > 0 && byte >= low_ && byte <= high_) {
        low_ = 0x80, high_ = 0xBF;
        ++length_;
        if (--wanted_ == 0) length_ = 0;
        continue;
      }
      give_up(look);
      if (byte >= 0x80) begin(byte, look);
    }
  }
  /// Counts a sequence that the end of the text cuts off.
  void give_up(TextLook& look) {
    look.foreign += length_;
    wanted_ = length_ = 0;
  }

 private:
  static std::size_t skip_ascii(Span<const std::byte> bytes, std::size_t i) {
    for (std::uint64_t word; i + sizeof word <= bytes.size(); i += sizeof word) {
      std::memcpy(&word, bytes.data() + i, sizeof word);
      if ((word & 0x8080808080808080u) != 0) break;
    }
    while (i < bytes.size() && std::to_integer<unsigned>(bytes[i]) < 0x80) ++i;
    return i;
  }
  void begin(unsigned byte, TextLook& look) {
    if (byte < 0xC2 || byte > 0xF4) {
      ++look.foreign;
      return;
    }
    wanted_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    length_ = 1;
    low_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    high_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  }

  unsigned wanted_ = 0, length_ = 0, low_ = 0x80, high_ = 0xBF;
};

/// Looks at consecutive pieces of a text.
class TextReader {
 public:
  explicit TextReader(TextLook& look) : look_(look) {}
  ~TextReader() { utf8_.give_up(look_); }

  void read(Span<const std::byte> bytes) {
    look_.bytes += bytes.size();
    utf8_.read(bytes, look_);
    std::uint64_t nuls = 0, controls = 0;
    for (const std::byte byte : bytes) {
      const auto b = std::to_integer<unsigned>(byte);
      const bool is_space = b >= 8 && b <= 13;  // backspace to carriage return
      nuls += b == 0 ? 1 : 0;
      controls += (b != 0 && b < 32 && !is_space && b != 27) || b == 127 ? 1 : 0;
    }
    look_.nuls += nuls;
    look_.controls += controls;
    count_markers(bytes);
  }

 private:
  void count_markers(Span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    // A marker may begin in the last piece: its end is looked for in a few bytes of both.
    end_ += text.substr(0, kMarker.size() - 1);
    if (end_.find(kMarker) != std::string::npos) ++look_.markers;
    for (std::size_t at = text.find(kMarker); at != text.npos; at = text.find(kMarker, at + 1)) {
      ++look_.markers;
    }
    end_ = text.substr(text.size() - std::min(text.size(), kMarker.size() - 1));
  }

  TextLook& look_;
  Utf8Reader utf8_;
  std::string end_;  // of the piece before
};

std::string percent(std::uint64_t part, std::uint64_t whole) {
  const std::uint64_t tenths = 1000 * part / whole;
  return tenths < 1 ? "under 0.1 %"
                    : std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

/// Says whether the name is that of a table, of records or of something packed, not of a text.
bool is_named_as_no_text(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  if (dot == path.npos) return false;
  std::string ending = path.substr(dot + 1);
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char* const other :
       {"csv", "tsv", "json", "jsonl", "ndjson", "parquet", "arrow", "feather", "gz",   "zip",
        "zst", "xz",  "bz2",  "html",  "htm",    "xml",     "ipynb", "xlsx",    "docx", "pdf"}) {
    if (ending == other) return true;
  }
  return false;
}

}  // namespace

TextLook look_at_text(Span<const std::byte> bytes) {
  TextLook look;
  TextReader(look).read(bytes);
  return look;
}

TextLook look_at_text(const DataFile& file) {
  TextLook look;
  const std::uint64_t size = file.size();
  look.whole = size <= kPieces * DataFile::kPiece;
  if (look.whole) {
    TextReader reader(look);
    file.scan(0, size, [&](std::uint64_t, Span<const std::byte> bytes) {
      reader.read(bytes);
      return true;
    });
  } else {
    const std::uint64_t stride = (size - DataFile::kPiece) / (kPieces - 1);
    for (std::uint64_t i = 0; i < kPieces; ++i) {
      TextReader reader(look);
      file.scan(i * stride, i * stride + DataFile::kPiece,
                [&](std::uint64_t, Span<const std::byte> bytes) {
                  reader.read(bytes);
                  return true;
                });
    }
  }
  const std::vector<std::byte> head = file.head(3);
  look.byte_order_mark = head.size() == 3 && std::memcmp(head.data(), "\xEF\xBB\xBF", 3) == 0;
  return look;
}

std::vector<std::string> text_notes(const TextLook& look, const std::string& path) {
  std::vector<std::string> notes;
  if (is_named_as_no_text(path)) {
    notes.push_back(path +
                    " is trained on as plain text, byte by byte as it is: field names, separators "
                    "and quotes are learned with the rest; `cllm prepare` takes the texts out");
  }
  if (look.byte_order_mark) {
    notes.push_back(path +
                    " begins with a byte-order mark of UTF-8: its 3 bytes are learned as "
                    "they are; without them prompts are closer to the text");
  }
  if (look.full_of_nuls()) {
    notes.push_back(path + ": " + percent(look.nuls, look.bytes) +
                    " of the bytes are NUL, which no text holds: is it UTF-16 (convert it with "
                    "iconv -f UTF-16LE -t UTF-8) or no text at all? It is learned byte by byte");
  } else if (look.mostly_not_utf8()) {
    notes.push_back(path +
                    " is not in UTF-8: it is learned byte by byte as it is, and will not "
                    "match prompts in UTF-8; if it is in Latin-1, convert it with iconv -f LATIN1 "
                    "-t UTF-8");
  } else if (look.controls >= 8 && 50 * look.controls > look.bytes) {
    notes.push_back(path + ": " + percent(look.controls, look.bytes) +
                    " of the bytes are control characters: is it text? It is learned byte by byte");
  }
  if (look.markers > 0) {
    notes.push_back(path + ": \"<|endoftext|>\" stands in the text " +
                    (look.whole ? "" : "at least ") + std::to_string(look.markers) +
                    (look.markers == 1 ? " time" : " times") +
                    " and is read as the 13 bytes it is written with, in training and by the "
                    "tokenizer that is saved; it is not token 256");
  }
  return notes;
}

}  // namespace cllm
