// The token file bindings let Python write CLLM's token files and check them.
#include "cllm/token_files.h"

#include <algorithm>

#include "arguments.h"
#include "bindings.h"
#include "cllm/error.h"

namespace cllm::python {
namespace {

std::array<std::uint8_t, 32> hash_of(const py::bytes& bytes) {
  const std::string text = bytes;
  std::array<std::uint8_t, 32> hash{};
  if (text.empty()) return hash;
  if (text.size() != hash.size()) throw InputError("tokenizer: expected 32 bytes of SHA-256");
  std::transform(text.begin(), text.end(), hash.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return hash;
}

void append(TokenWriter& writer, const TokensArgument& tokens) {
  if (py::len(tokens) == 0) return;
  const std::vector<std::int32_t> values = token_list(tokens, "tokens", kAnyToken);
  writer.append(values.data(), values.size());
}

}  // namespace

void register_token_files(py::module_& m) {
  py::class_<TokenFileInfo>(m, "TokenFileInfo", "What the header of a token file says.")
      .def_readonly("tokens", &TokenFileInfo::tokens, "How many there are.")
      .def_readonly("vocabulary", &TokenFileInfo::vocabulary, "Every token is below it.")
      .def_readonly("width", &TokenFileInfo::width, "Bytes a token: 2 or 4.")
      .def_readonly("begin", &TokenFileInfo::begin, "Bytes before the first token.")
      .def_readonly("text_bytes", &TokenFileInfo::text_bytes,
                    "Bytes of the text that the tokens stand for; 0 when unknown.")
      .def_property_readonly(
          "tokenizer",
          [](const TokenFileInfo& info) {
            return py::bytes(std::string(info.tokenizer.begin(), info.tokenizer.end()));
          },
          "SHA-256 of the tokenizer; zeros when there is none.");
  m.def(
      "read_token_file",
      [](const PathArgument& path, bool verify) {
        const std::string text = path_text(path, "path");
        const py::gil_scoped_release without_gil;
        return read_token_file(text, verify);
      },
      py::arg("path"), py::kw_only(), py::arg("verify") = true,
      "Returns what the header of a token file says; with verify all its checksums and tokens are\n"
      "checked.");
  // Nothing here gives the interpreter free, so that a writer is used by one thread at a time.
  py::class_<TokenWriter>(m, "TokenWriter",
                          "Writes a token file piece by piece; it appears at finish(), and never\n"
                          "without it.\n\n"
                          "Args:\n"
                          "    path: Of the file, usually named .bin.\n"
                          "    vocabulary: Every token is below it.\n"
                          "    width: Bytes a token: 2 (vocabularies up to 65536) or 4.\n"
                          "    tokenizer: SHA-256 of the tokenizer, where there is one.")
      .def(py::init([](const PathArgument& path, std::int64_t vocabulary, int width,
                       const py::bytes& tokenizer) {
             return std::make_unique<TokenWriter>(path_text(path, "path"), vocabulary, width,
                                                  hash_of(tokenizer));
           }),
           py::arg("path"), py::kw_only(), py::arg("vocabulary"), py::arg("width"),
           py::arg("tokenizer") = py::bytes())
      .def("append", &append, py::arg("tokens"), "Appends integers, of any width.")
      .def("finish", &TokenWriter::finish, py::kw_only(), py::arg("text_bytes") = 0,
           "Completes the file. text_bytes counts the text that the tokens stand for.");
}

}  // namespace cllm::python
