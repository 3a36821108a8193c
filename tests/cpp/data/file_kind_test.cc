// A run could train on any of these files, because they are bytes; each is recognised by its marks.
#include "data/file_kind.h"

#include <gtest/gtest.h>

#include <string>

#include "has.h"

namespace cllm {
namespace {

using std::string_literals::operator""s;

FileLook look(const std::string& bytes) {
  const auto span = [](const char* from, std::size_t size) {
    return Span<const std::byte>(reinterpret_cast<const std::byte*>(from), size);
  };
  const std::size_t head = std::min(bytes.size(), kHeadBytes);
  const std::size_t tail = std::min(bytes.size(), kTailBytes);
  return look_at(span(bytes.data(), head), span(bytes.data() + (bytes.size() - tail), tail),
                 bytes.size());
}

struct Case {
  std::string start;
  const char* name;
};

TEST(FileKind, KnowsEachMark) {
  const std::string zip = "PK\x03\x04\x14\0\0\0\x08\0"s + std::string(20, 'z');
  const Case cases[] = {
      {"\xC6\xD7\x34\x01"s, "model of llm.c"},
      {"\xC7\xD7\x34\x01"s, "debug state of llm.c"},
      {"\xC8\xD7\x34\x01"s, "tokenizer of llm.c"},
      {"\x8A\xD8\x34\x01"s, "evaluation file of llm.c"},
      {"\x8F\xD8\x34\x01"s, "training state of llm.c"},
      {"\xA3\xD9\x34\x01"s, "Llama 3 model of llm.c"},
      {"MMIDIDX\0\0\1"s, "Megatron"},
      {zip + "[Content_Types].xml word/document.xml", "docx"},
      {zip + "mimetypeapplication/epub+zip", "EPUB"},
      {zip + "arr_0.npy", "npz"},
      {zip + "archive/data.pkl", "PyTorch"},
      {zip + "xl/workbook.xml", "zip archive"},
      {"PK\x05\x06"s + std::string(18, '\0'), "empty zip"},
      {"\x1F\x8B\x08\0\0"s, "gzip"},
      {"\x28\xB5\x2F\xFD"s, "zstd"},
      {"\xFD\x37zXZ\0"s, "xz"},
      {"BZh91AY&SY"s, "bzip2"},
      {"\x04\x22\x4D\x18"s, "lz4"},
      {"7z\xBC\xAF\x27\x1C"s, "7z"},
      {"Rar!\x1A\x07\0"s, "RAR"},
      {"notes.txt"s + std::string(248, '\0') + "ustar\0"s, "tar"},
      {"%PDF-1.7\n"s, "PDF"},
      {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"s, "Office"},
      {"PAR1\x15\x04"s, "Parquet"},
      {"ARROW1\0\0"s, "Arrow file"},
      {"\xFF\xFF\xFF\xFF\x78\1\0\0\x10\0"s.replace(6, 4, "\0\0\0\0"s), "Arrow stream"},
      {"Obj\x01\x04"s, "Avro"},
      {"\x89HDF\r\n\x1A\n"s, "HDF5"},
      {"SQLite format 3\0"s, "SQLite"},
      {"GGUF\3\0\0\0"s, "GGUF"},
      {"\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.\x80\x02"s, "PyTorch"},
      {"\x7F"
       "ELF\2"s,
       "program"},
      {"MZ\x90\0\3"s, "Windows program"},
      {"\x89PNG\r\n\x1A\n"s, "PNG"},
      {"\xFF\xD8\xFF\xE0"s, "JPEG"},
      {"GIF89a"s, "GIF"},
      {"GIF87a"s, "GIF"},
      {"RIFF\1\2\3\4WEBPVP8 "s, "WebP"},
      {"RIFF\1\2\3\4WAVEfmt "s, "WAV"},
      {"OggS\0\2"s, "Ogg"},
      {"ID3\x03\0"s, "MP3"},
      {"ID3\x04\0"s, "MP3"},
      {"\0\0\0\x18"
       "ftypmp42"s,
       "MP4"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"s, "Git LFS"},
      {"\xFF\xFE\0\0h\0\0\0"s, "UTF-32"},
      {"\0\0\xFE\xFF\0\0\0h"s, "UTF-32"},
      {"\xFF\xFEh\0"s, "UTF-16"},
      {"\xFE\xFF\0h"s, "UTF-16"},
      {"\x10\0\0\0\0\0\0\0{\"a\":1}         "s, "safetensors"},
      {"\x80\x04\x95\x05\0\0\0\0\0\0\0]."s, "pickle"},
      {"\x80\x03]q\0."s, "pickle"},
  };
  for (const Case& c : cases) {
    for (const std::string& bytes : {c.start, c.start + (c.name == "pickle"s ? "" : " and more")}) {
      const FileLook seen = look(bytes);
      EXPECT_EQ(seen.kind, FileKind::kForeign) << c.name;
      EXPECT_TRUE(has(seen.name, c.name)) << seen.name << " should be " << c.name;
      EXPECT_GT(std::string(seen.advice).size(), 10u) << c.name;
      // A mark that lacks its first byte is none; that of tar stands further on.
      if (c.name == "tar"s) continue;
      EXPECT_EQ(look("x" + bytes.substr(1)).kind, FileKind::kUnknown) << c.name;
    }
  }
}

TEST(FileKind, KnowsTokenFiles) {
  EXPECT_EQ(look("\x93"
                 "CLLMTOK\1"s)
                .kind,
            FileKind::kCllmTokens);
  EXPECT_EQ(look("\x88\xD8\x34\x01\x01\0\0\0"s).kind, FileKind::kLlmcTokens);
  EXPECT_EQ(look("\xA1\xD9\x34\x01\x07\0\0\0"s).kind, FileKind::kLlmcTokens);
  EXPECT_EQ(look("\x93NUMPY\1\0"s).kind, FileKind::kNumpy);
}

TEST(FileKind, LeavesTextAlone) {
  for (const std::string& text :
       {"a"s, "To be"s, "\xEF\xBB\xBFTo be"s, "PK is not enough"s, "RIFF raff"s, "BZh is a name"s,
        "GIF89b"s, "ID3 tags"s, "MZ writes"s, "Object"s, "version https://example.org"s,
        "{\"json\": 1}"s, "\x1F\x8B"s, std::string(300, ' '), ""s}) {
    EXPECT_EQ(look(text).kind, FileKind::kUnknown) << text;
  }
}

TEST(FileKind, CallsMarksWeakThatTokensCanBeginWith) {
  EXPECT_TRUE(look("\xFF\xFEh\0"s).weak);
  EXPECT_TRUE(look("\x80\x03]q\0."s).weak);
  EXPECT_FALSE(look("\x80\x04\x95\x05\0\0\0\0\0\0\0]."s).weak);
  EXPECT_FALSE(look("PK\x03\x04"s).weak);
}

}  // namespace
}  // namespace cllm
