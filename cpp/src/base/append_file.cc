#include "base/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/file_calls.h"
#include "base/files.h"

namespace cllm {

AppendFile::AppendFile(const std::string& path)
    : path_(path),
      file_(file_calls().open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (!file_.valid()) throw_system_error("cannot open the file for appending", path_, errno);
  struct stat status{};
  if (file_calls().fstat(file_.get(), &status) != 0) {
    throw_system_error("cannot open the file for appending", path_, errno);
  }
  char last = '\n';
  if (S_ISREG(status.st_mode) && status.st_size > 0 &&
      file_calls().pread(file_.get(), &last, 1, status.st_size - 1) < 0) {
    throw_system_error("cannot read the end of the file", path_, errno);
  }
  torn_ = last != '\n';
  named_ = !S_ISREG(status.st_mode);  // a pipe or terminal has no name to lose
}

void AppendFile::write_line(std::string_view line) {
  buffer_.clear();
  if (torn_) buffer_ += '\n';
  buffer_ += line;
  buffer_ += '\n';
  std::size_t written = 0;
  const int code = write_all(file_.get(), buffer_.data(), buffer_.size(), &written);
  if (written > 0) torn_ = buffer_[written - 1] != '\n';
  if (code != 0) throw_system_error("cannot append to the file", path_, code);
}

void AppendFile::flush() {
  // EINVAL means a pipe or terminal, which has nothing to make durable.
  if (file_calls().fdatasync(file_.get()) != 0 && errno != EINVAL) {
    throw_system_error("cannot make the file durable", path_, errno);
  }
  if (!named_) sync_folder(parent_folder(path_));
  named_ = true;
}

}  // namespace cllm
