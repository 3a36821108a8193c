// A log is a file that only grows: by whole lines, each of them one write to the kernel.
#pragma once

#include <string>
#include <string_view>

#include "base/file_descriptor.h"

namespace cllm {

/// Writes each line by one O_APPEND write, so that after a crash, or while the file is followed, a
/// reader sees whole lines except perhaps the last. A torn last line (of a killed run, or a full
/// disk) is ended before the next line starts, so at most that line is lost. One thread at a time
/// uses it.
class AppendFile {
 public:
  /// Creates the file if it does not exist. Throws Error.
  explicit AppendFile(const std::string& path);

  /// Appends `line` and a newline. Throws Error. REQUIRES: `line` has no newline.
  void write_line(std::string_view line);
  /// Makes what was written survive a power cut. Throws Error.
  void flush();
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  FileDescriptor file_;
  std::string buffer_;  ///< kept, so that a steady writer allocates nothing
  bool torn_ = false;   ///< the file ends inside a line
  bool named_ = false;  ///< its entry in the folder is durable
};

}  // namespace cllm
