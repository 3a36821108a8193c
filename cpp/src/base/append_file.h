// A log that only grows: whole lines, each one write to the kernel.
#pragma once

#include <string>
#include <string_view>

#include "base/file_descriptor.h"

namespace cllm {

/// Each line is one O_APPEND write, so a reader who follows the file, or a crash, sees whole lines
/// except perhaps the last. A torn last line (of a killed run, or a full disk) is ended before the
/// next line starts, so at most that one line is lost. Used by one thread at a time.
class AppendFile {
 public:
  /// Creates the file when it is not there. Throws Error.
  explicit AppendFile(const std::string& path);

  /// Appends `line` and a newline. Throws Error. REQUIRES: `line` has no newline.
  void write_line(std::string_view line);
  /// What was written survives a power cut. Throws Error.
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
