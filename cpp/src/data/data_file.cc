#include "data/data_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "base/file_calls.h"
#include "base/files.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

std::int64_t ns(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] void throw_failed(const std::string& path, int code) {
  throw DataError(ErrorParts{
      "the data file cannot be read any more", std::generic_category().message(code), "", path,
      "check the disk or the network it lies on, then go on with " + option_word("resume")});
}

FileStamp stamp_of(int fd, const std::string& path) {
  struct stat now{};
  if (file_calls().fstat(fd, &now) != 0) throw_failed(path, errno);
  FileStamp stamp;
  stamp.device = now.st_dev;
  stamp.inode = now.st_ino;
  stamp.size = static_cast<std::uint64_t>(now.st_size);
  stamp.links = now.st_nlink;
  stamp.mode = now.st_mode;
  stamp.owner = now.st_uid;
  stamp.group = now.st_gid;
  stamp.written = ns(now.st_mtim);
  stamp.changed = ns(now.st_ctim);
  return stamp;
}

}  // namespace

DataFile::DataFile(const std::string& path) : path_(path) {
  if (wording() == Wording::kKeywords && !path.empty() && !is_there(path)) {
    const bool is_text = path.find(' ') != std::string::npos;
    throw InputError({"no such file", "", "", path,
                      is_text ? "a text of one line is given as a list: [text]"
                              : "check the spelling; relative paths start at the current folder"});
  }
  std::size_t size = 0;
  file_ = open_for_reading(path, &size);
  opened_ = stamp_of(file_.get(), path_);
}

DataFile::DataFile(MemoryData::Pointer data) : path_(data->name), memory_(std::move(data)) {
  // No file has this device, and other data lies elsewhere.
  opened_.device = std::numeric_limits<std::uint64_t>::max();
  opened_.inode = reinterpret_cast<std::uintptr_t>(memory_.get());
  opened_.size = memory_->bytes.size();
}

void DataFile::read(std::uint64_t offset, void* to, std::size_t size) const {
  if (memory_) {
    if (size > 0) std::memcpy(to, memory_->bytes.data() + offset, size);
    return;
  }
  char* const out = static_cast<char*>(to);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n =
        file_calls().pread(file_.get(), out + done, size - done, static_cast<off_t>(offset + done));
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n == 0) {
      throw DataError(
          ErrorParts{"the data file was cut while it was used",
                     "its end at byte " + std::to_string(offset + done),
                     std::to_string(opened_.size) + " bytes, as when it was opened", path_,
                     "put the file back as it was and go on with " + option_word("resume")});
    } else if (errno != EINTR) {
      throw_failed(path_, errno);
    }
  }
}

std::vector<std::byte> DataFile::head(std::size_t most) const {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(most, size()));
  read(0, bytes.data(), bytes.size());
  return bytes;
}

std::vector<std::byte> DataFile::tail(std::size_t most) const {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(most, size()));
  read(size() - bytes.size(), bytes.data(), bytes.size());
  return bytes;
}

void DataFile::scan(
    std::uint64_t begin, std::uint64_t end,
    const std::function<bool(std::uint64_t offset, Span<const std::byte> bytes)>& piece) const {
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kPiece, end - begin));
  for (std::uint64_t at = begin; at < end; at += buffer.size()) {
    const std::size_t size = std::min<std::uint64_t>(buffer.size(), end - at);
    read(at, buffer.data(), size);
    if (!piece(at, {buffer.data(), size})) return;
  }
}

FileStamp DataFile::stamp() const { return memory_ ? opened_ : stamp_of(file_.get(), path_); }

}  // namespace cllm
