#include "cllm/token_files.h"

#include "base/refuse.h"
#include "data/data_file.h"
#include "data/token_file.h"
#include "data/token_layout.h"

namespace cllm {

TokenFileInfo read_token_file(const std::string& path, bool verify) {
  const DataFile file(path);
  if (!knows_vocabulary(file)) {
    refuse("this is no token file of CLLM", "other first bytes", "a file of `cllm prepare`", path);
  }
  const TokenFileHeader header =
      decode_token_file_header(file.head(TokenFileHeader::kBytes), file.size(), path);
  if (verify) verify_token_file(file, header);
  TokenFileInfo info;
  info.tokens = static_cast<std::int64_t>(header.count);
  info.vocabulary = static_cast<std::int64_t>(header.vocabulary);
  info.width = static_cast<int>(header.width);
  info.begin = TokenFileHeader::kBytes;
  info.text_bytes = static_cast<std::int64_t>(header.text_bytes);
  info.tokenizer = header.tokenizer;
  return info;
}

struct TokenWriter::State {
  TokenFileWriter writer;
};

TokenWriter::TokenWriter(const std::string& path, std::int64_t vocabulary, int width,
                         const std::array<std::uint8_t, 32>& tokenizer)
    : state_(new State{TokenFileWriter(path, vocabulary, width, tokenizer)}) {}

TokenWriter::~TokenWriter() = default;

void TokenWriter::append(const std::int32_t* tokens, std::size_t count) {
  if (!state_) throw Error("the token file is finished");
  state_->writer.append({tokens, count});
}

void TokenWriter::finish(std::int64_t text_bytes) {
  if (!state_) throw Error("the token file is finished");
  state_->writer.finish(text_bytes);
  state_.reset();
}

}  // namespace cllm
