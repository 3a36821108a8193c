// A data file is held open and read at offsets through its descriptor, whatever happens to its
// name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "base/span.h"
#include "cllm/error.h"
#include "cllm/memory_data.h"

namespace cllm {

/// Thrown when the data file was changed, or can no longer be read, while it was in use. What was
/// computed before is sound, so a run can save it.
class DataError : public Error {
 public:
  using Error::Error;
};

/// Says when and how a file was last changed, as its file system tells.
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size = 0, links = 0;
  std::uint64_t mode = 0, owner = 0, group = 0;
  std::int64_t written = 0;  ///< ns, mtime
  std::int64_t changed = 0;  ///< ns, ctime: change of bytes, name, owner...

  bool same_file(const FileStamp& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
  /// Says whether size and both times are the same: then nothing at all has happened to the file.
  bool untouched_since(const FileStamp& before) const noexcept {
    return size == before.size && written == before.written && changed == before.changed;
  }
};

/// The file is read, not mapped: when a mapped file is cut, the program ends by SIGBUS, while a
/// read says how far it came. If the file is deleted, renamed or replaced by a rename, it stays as
/// it was for the reader. Data in memory is read in the same way and never changes. Thread safety:
/// immutable after construction, so any thread may read.
class DataFile {
 public:
  /// Scans go through a buffer of this size, so a file of any size takes no more memory.
  static constexpr std::size_t kPiece = std::size_t{1} << 20;

  /// Throws InputError when there is no readable ordinary file at `path`.
  explicit DataFile(const std::string& path);
  /// Reads data in memory; its name is the path.
  explicit DataFile(MemoryData::Pointer data);

  const std::string& path() const noexcept { return path_; }
  /// Returns the size in bytes when the file was opened.
  std::uint64_t size() const noexcept { return opened_.size; }
  /// Returns the stamp that the file had when it was opened.
  const FileStamp& opened() const noexcept { return opened_; }

  /// Reads bytes offset .. offset + size - 1 into `to`. Throws DataError when they no longer exist
  /// or cannot be read. REQUIRES: offset + size <= size().
  void read(std::uint64_t offset, void* to, std::size_t size) const;
  /// Returns the first `most` bytes, or all when there are fewer; tail() returns the last ones.
  std::vector<std::byte> head(std::size_t most) const;
  std::vector<std::byte> tail(std::size_t most) const;

  /// Calls piece(offset, bytes) for begin .. end - 1 from front to back. All pieces but the last
  /// are kPiece bytes long; the last may be shorter. Ends early when a call returns false.
  void scan(
      std::uint64_t begin, std::uint64_t end,
      const std::function<bool(std::uint64_t offset, Span<const std::byte> bytes)>& piece) const;

  /// Returns the stamp of the file as it is now. Throws DataError.
  FileStamp stamp() const;

 private:
  std::string path_;
  FileDescriptor file_;         // of a file
  MemoryData::Pointer memory_;  // or the data itself
  FileStamp opened_;
};

}  // namespace cllm
