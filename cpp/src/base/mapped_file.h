// A whole file as read-only memory: pages are read when touched and shared between processes.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace cllm {

/// Thread safety: immutable after construction, so any thread may read. The file must not shrink
/// while it is mapped (the kernel answers such a read with SIGBUS); files of ours are never cut but
/// replaced by rename, which leaves a mapping valid.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws InputError when there is no readable ordinary file at `path`. An empty file is a valid
  /// mapping of size 0.
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile();

  /// Page-aligned; null when the file is empty.
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace cllm
