// Files are read whole, or written so that a crash leaves either the old file or the new one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"

namespace cllm {

/// Opens an ordinary file and tells its size. Throws InputError with a hint when it is missing, a
/// folder, a device or pipe, or not readable.
FileDescriptor open_for_reading(const std::string& path, std::size_t* size);

/// Returns the bytes of a file. Throws like open_for_reading.
std::string read_text_file(const std::string& path);

/// Says whether a file, a folder or a link to one is there. Throws InputError when that cannot be
/// found out: links in a circle, a folder that may not be searched, a name that is too long.
bool is_there(const std::string& path);

/// Makes the entries of a folder (new names, renames) survive a power cut. Throws Error.
void sync_folder(const std::string& path);

/// Returns the folder that holds `path`: "." for a bare name.
std::string parent_folder(const std::string& path);

/// Writes a file that appears under its name complete or not at all: it is written under `path` +
/// ".partial", then come fsync, rename and fsync of the folder. Its partial name is fixed, so that
/// the next attempt overwrites a partial file left by a crash. REQUIRES: one writer per path at a
/// time. Destroyed without commit(), it leaves nothing. Every failure is an Error with path and
/// reason.
class DurableFile {
 public:
  explicit DurableFile(const std::string& path);
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;
  ~DurableFile();

  /// Appends at the end.
  void write(const void* data, std::size_t size);
  /// Overwrites bytes written before, such as a header whose counts are known at the end.
  /// REQUIRES: offset + size <= bytes appended so far.
  void overwrite(std::size_t offset, const void* data, std::size_t size);
  /// Replaces the file at `path`. REQUIRES: called once, last.
  void commit();

 private:
  std::string path_;
  std::string partial_;
  FileDescriptor file_;
};

/// Writes `bytes` as the file at `path`, by a DurableFile.
void write_file_durably(const std::string& path, std::string_view bytes);

}  // namespace cllm
