#include "data/file_kind.h"

#include <cstring>
#include <string_view>

namespace cllm {
namespace {

using std::string_view_literals::operator""sv;

constexpr const char* kExtract = "take the text out of it first, into a UTF-8 file";
constexpr const char* kUnpack = "unpack it first";
constexpr const char* kConvert =
    "write its text column into a UTF-8 file, or its token ids into a .npy file of numpy";
constexpr const char* kModel = "a model is a start, not data: name its folder as init";
constexpr const char* kNoText = "this is no text: name a UTF-8 file or a token file";
constexpr const char* kUtf16 = "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW";
constexpr const char* kUtf32 = "convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW";
constexpr const char* kLlmcShards = "llm.c's token shards begin with 20240520 or 20240801";

/// A file is of the first row whose marks it has.
struct Row {
  std::string_view mark;
  const char* name;
  const char* advice;
  std::size_t at = 0;
  std::string_view further = {};  ///< a second mark...
  std::size_t further_at = 0;     ///< ...at this offset, or anywhere in the head if kAnywhere
  bool weak = false;
};
constexpr std::size_t kAnywhere = ~std::size_t{0};

constexpr Row kForeign[] = {
    // llm.c: the mark is a little-endian number that looks like a date.
    {"\xC6\xD7\x34\x01"sv, "a model of llm.c", kLlmcShards},
    {"\xC7\xD7\x34\x01"sv, "a debug state of llm.c", kLlmcShards},
    {"\xC8\xD7\x34\x01"sv, "a tokenizer of llm.c", kLlmcShards},
    {"\x8A\xD8\x34\x01"sv, "an evaluation file of llm.c (HellaSwag)", kLlmcShards},
    {"\x8F\xD8\x34\x01"sv, "a training state of llm.c", kLlmcShards},
    {"\xA3\xD9\x34\x01"sv, "a Llama 3 model of llm.c", kLlmcShards},
    {"MMIDIDX\0\0"sv, "an index of Megatron's", "its .bin file holds the tokens"},
    // These are archives and compressed files.
    {"PK\x03\x04"sv, "a Word document (docx)", kExtract, 0, "word/"sv, kAnywhere},
    {"PK\x03\x04"sv, "an OpenDocument or EPUB file", kExtract, 0, "mimetypeapplication/"sv, 30},
    {"PK\x03\x04"sv, "an archive of NumPy arrays (npz)", kConvert, 0, ".npy"sv, kAnywhere},
    {"PK\x03\x04"sv, "a PyTorch file", kConvert, 0, "data.pkl"sv, kAnywhere},
    {"PK\x03\x04"sv, "a zip archive (docx, xlsx, npz and PyTorch files are such)", kUnpack},
    {"PK\x05\x06"sv, "an empty zip archive", kUnpack},
    {"\x1F\x8B\x08"sv, "a gzip file", "unpack it first: gunzip FILE"},
    {"\x28\xB5\x2F\xFD"sv, "a zstd file", "unpack it first: unzstd FILE"},
    {"\xFD\x37zXZ\0"sv, "an xz file", "unpack it first: unxz FILE"},
    {"BZh"sv, "a bzip2 file", "unpack it first: bunzip2 FILE", 0, "1AY&SY"sv, 4},
    {"\x04\x22\x4D\x18"sv, "an lz4 file", "unpack it first: unlz4 FILE"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive", kUnpack},
    {"Rar!\x1A\x07"sv, "a RAR archive", kUnpack},
    {"ustar"sv, "a tar archive", "unpack it first: tar -xf FILE", 257},
    // These are documents.
    {"%PDF-"sv, "a PDF document", "take the text out of it first: pdftotext FILE"},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "an old Office document", kExtract},
    // These are tables, arrays and models.
    {"PAR1"sv, "a Parquet file", kConvert},
    {"ARROW1\0\0"sv, "an Arrow file", kConvert},
    {"\xFF\xFF\xFF\xFF"sv, "an Arrow stream", kConvert, 0, "\0\0\0\0"sv, 6},
    {"Obj\x01"sv, "an Avro file", kConvert},
    {"\x89HDF\r\n\x1A\n"sv, "an HDF5 file", kConvert},
    {"SQLite format 3\0"sv, "an SQLite database", kConvert},
    {"GGUF"sv, "a GGUF model", kModel},
    {"\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19"sv, "a PyTorch file", kConvert},
    // These are programs, pictures and sound.
    {"\x7F"
     "ELF"sv,
     "a program", kNoText},
    {"MZ\x90\0"sv, "a Windows program", kNoText},
    {"\x89PNG\r\n\x1A\n"sv, "a PNG picture", kNoText},
    {"\xFF\xD8\xFF"sv, "a JPEG picture", kNoText},
    {"GIF89a"sv, "a GIF picture", kNoText},
    {"GIF87a"sv, "a GIF picture", kNoText},
    {"RIFF"sv, "a WebP picture", kNoText, 0, "WEBP"sv, 8},
    {"RIFF"sv, "a WAV sound", kNoText, 0, "WAVE"sv, 8},
    {"OggS\0"sv, "an Ogg sound", kNoText},
    {"ID3\x03"sv, "an MP3 sound", kNoText},
    {"ID3\x04"sv, "an MP3 sound", kNoText},
    {"ftyp"sv, "a video (MP4)", kNoText, 4, "\0\0\0"sv, 0},
    // These are texts that are missing, or not in UTF-8. UTF-32 comes first, because it begins as
    // UTF-16 does.
    {"version https://git-lfs.github.com/spec/"sv, "a pointer of Git LFS in place of the file",
     "fetch the file itself: git lfs pull"},
    {"\xFF\xFE\0\0"sv, "text in UTF-32", kUtf32, 0, {}, 0, true},
    {"\0\0\xFE\xFF"sv, "text in UTF-32", kUtf32, 0, {}, 0, true},
    {"\xFF\xFE"sv, "text in UTF-16", kUtf16, 0, {}, 0, true},
    {"\xFE\xFF"sv, "text in UTF-16", kUtf16, 0, {}, 0, true},
};

std::string_view text(Span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool stands_at(std::string_view bytes, std::size_t at, std::string_view mark) {
  return bytes.size() >= at + mark.size() && bytes.compare(at, mark.size(), mark) == 0;
}

bool is(const Row& row, std::string_view head) {
  const bool further = row.further_at == kAnywhere ? head.find(row.further) != head.npos
                                                   : stands_at(head, row.further_at, row.further);
  return further && stands_at(head, row.at, row.mark);
}

/// A pickle has protocol 2 to 5, and the opcode that ends every pickle.
bool is_pickle(std::string_view head, std::string_view tail) {
  return head.size() >= 4 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5 &&
         tail.back() == '.';
}

/// A safetensors file has a length, and then a JSON object of that length.
bool is_safetensors(std::string_view head, std::uint64_t size) {
  if (!stands_at(head, 8, "{\"")) return false;
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), sizeof length);
  return length <= size - 8;
}

}  // namespace

FileLook look_at(Span<const std::byte> first, Span<const std::byte> last, std::uint64_t size) {
  const std::string_view head = text(first), tail = text(last);
  if (stands_at(head, 0,
                "\x93"
                "CLLMTOK"))
    return {FileKind::kCllmTokens, "CLLM tokens"};
  if (stands_at(head, 0, "\x88\xD8\x34\x01") || stands_at(head, 0, "\xA1\xD9\x34\x01")) {
    return {FileKind::kLlmcTokens, "a token shard of llm.c"};
  }
  if (stands_at(head, 0, "\x93NUMPY")) return {FileKind::kNumpy, "a NumPy array"};
  for (const Row& row : kForeign) {
    if (is(row, head)) return {FileKind::kForeign, row.name, row.advice, row.weak};
  }
  if (is_safetensors(head, size)) return {FileKind::kForeign, "a safetensors file", kModel};
  if (is_pickle(head, tail)) {
    const bool framed = head[2] == '\x95';  // which follows in protocols 4 and 5
    return {FileKind::kForeign, "a Python pickle", kConvert, !framed};
  }
  return {};
}

}  // namespace cllm
