#include "telemetry/patient_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>

namespace cllm {
namespace {

/// Opens a pipe or terminal once more, because O_NONBLOCK belongs to an open file, which the shell
/// and other programs share. Files never wait, and a second opening would write from their
/// beginning.
FileDescriptor reopen(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return FileDescriptor();
  if (!S_ISFIFO(info.st_mode) && ::isatty(fd) == 0) return FileDescriptor();
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return FileDescriptor(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

}  // namespace

PatientWriter::PatientWriter(int fd) : fd_(fd), own_(reopen(fd)) {}

PatientWriter::~PatientWriter() {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(250);
  while (!pending_.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0 || ready(static_cast<int>(left.count())) == 0) return;
    flush();
  }
}

void PatientWriter::write(std::string_view text) {
  flush();
  const bool is_line = !text.empty() && text.back() == '\n';
  if (!pending_.empty() && !is_line) return;
  if (left_out_ > 0 && pending_.empty()) {
    pending_ = "(" + std::to_string(left_out_) + " lines could not be written)\n";
    left_out_ = 0;
  }
  if (pending_.size() + text.size() > kMostPending && !pending_.empty()) {
    ++left_out_;
    return;
  }
  pending_ += text;
  flush();
}

int PatientWriter::ready(int milliseconds) const noexcept {
  pollfd out{own_.valid() ? own_.get() : fd_, POLLOUT, 0};
  return ::poll(&out, 1, milliseconds) == 1 ? out.revents : 0;
}

void PatientWriter::flush() noexcept {
  std::size_t done = 0;
  while (done < pending_.size()) {
    const int ready_for = ready(0);
    if (ready_for == 0) break;
    if ((ready_for & (POLLERR | POLLNVAL)) != 0) {  // closed, or no reader: avoid SIGPIPE
      pending_.clear();
      return;
    }
    // A pipe that is ready takes PIPE_BUF bytes without waiting.
    const std::size_t size = std::min<std::size_t>(pending_.size() - done, PIPE_BUF);
    const ssize_t n = ::write(own_.valid() ? own_.get() : fd_, pending_.data() + done, size);
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      break;
    } else if (n == 0 || errno != EINTR) {
      pending_.clear();
      return;
    }
  }
  pending_.erase(0, done);
}

}  // namespace cllm
