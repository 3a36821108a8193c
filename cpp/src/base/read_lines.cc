#include "base/read_lines.h"

#include <cerrno>
#include <vector>

#include "base/file_calls.h"
#include "base/files.h"

namespace cllm {

void read_lines(const std::string& path,
                const std::function<bool(std::string_view line, bool ended)>& use) {
  std::size_t size = 0;
  const FileDescriptor file = open_for_reading(path, &size);
  std::vector<char> piece(std::size_t{1} << 16);
  std::string line;
  for (;;) {
    const ssize_t got = file_calls().read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_system_error("cannot read the file", path, errno);
    if (got == 0) break;
    std::string_view rest(piece.data(), static_cast<std::size_t>(got));
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      line += rest.substr(0, end);
      if (!use(line, true)) return;
      line.clear();
      rest.remove_prefix(end + 1);
    }
    line += rest;
  }
  if (!line.empty()) use(line, false);
}

}  // namespace cllm
