// A data file held open: read at offsets through its descriptor, whatever happens to its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "base/span.h"
#include "cllm/error.h"

namespace cllm {

/// The data file was changed, or cannot be read any more, while it was in use. What was computed
/// before is sound: a run can save it.
class DataError : public Error {
 public:
  using Error::Error;
};

/// When and how a file was last changed, as its file system tells.
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size = 0, links = 0;
  std::uint64_t mode = 0, owner = 0, group = 0;
  std::int64_t written = 0;  ///< ns, mtime
  std::int64_t changed = 0;  ///< ns, ctime: of the bytes, the name, the owner...

  bool same_file(const FileStamp& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
  /// Size and both times: nothing at all has happened to the file.
  bool untouched_since(const FileStamp& before) const noexcept {
    return size == before.size && written == before.written && changed == before.changed;
  }
};

/// The file is not mapped: memory of a file that is cut under a program ends it by SIGBUS, while a
/// read says how far it came. Deleted, renamed or replaced by a rename, the file stays as it was.
/// Thread safety: immutable after construction, so any thread may read.
class DataFile {
 public:
  /// Scans go through a buffer of this size, so that a file of any size takes no more memory.
  static constexpr std::size_t kPiece = std::size_t{1} << 20;

  /// Throws InputError when there is no readable ordinary file at `path`.
  explicit DataFile(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  /// In bytes, when it was opened.
  std::uint64_t size() const noexcept { return opened_.size; }
  /// As it was when it was opened.
  const FileStamp& opened() const noexcept { return opened_; }

  /// Bytes offset .. offset + size - 1 into `to`. Throws DataError when they are not there any more
  /// or cannot be read. REQUIRES: offset + size <= size().
  void read(std::uint64_t offset, void* to, std::size_t size) const;
  /// The first `most` bytes, or all when there are fewer; the last ones.
  std::vector<std::byte> head(std::size_t most) const;
  std::vector<std::byte> tail(std::size_t most) const;

  /// Calls piece(offset, bytes) for begin .. end - 1 from front to back, each of at most kPiece
  /// bytes; all but the last are kPiece long. Ends early when it returns false.
  void scan(
      std::uint64_t begin, std::uint64_t end,
      const std::function<bool(std::uint64_t offset, Span<const std::byte> bytes)>& piece) const;

  /// As the file is now. Throws DataError.
  FileStamp stamp() const;

 private:
  std::string path_;
  FileDescriptor file_;
  FileStamp opened_;
};

}  // namespace cllm
