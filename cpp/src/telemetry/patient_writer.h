// Text for people may go to a slow, full or closed descriptor; no thread waits for it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"

namespace cllm {

/// Writes as much as the descriptor takes at once and keeps the rest, up to kMostPending bytes, for
/// the next call. Failures are ignored. Lines are kept whole: beyond that bound they are left out,
/// and their number is written as soon as there is room. Text that does not end its line (a live
/// line) is left out whenever something waits. Thread safety: one thread at a time.
class PatientWriter {
 public:
  static constexpr std::size_t kMostPending = 65536;

  /// REQUIRES: the descriptor stays open. It is not changed, because others may share it.
  explicit PatientWriter(int fd);
  ~PatientWriter();  ///< gives pending text a quarter of a second
  PatientWriter(const PatientWriter&) = delete;
  PatientWriter& operator=(const PatientWriter&) = delete;

  void write(std::string_view text);

 private:
  /// Returns what poll says; 0 when the time is over.
  int ready(int milliseconds) const noexcept;
  void flush() noexcept;

  const int fd_;
  FileDescriptor own_;  // the same pipe or terminal, opened so that writing never waits
  std::string pending_;
  std::size_t left_out_ = 0;  // lines
};

}  // namespace cllm
