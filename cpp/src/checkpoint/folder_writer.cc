#include "checkpoint/folder_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/crc32c.h"
#include "base/file_descriptor.h"
#include "base/files.h"
#include "checkpoint/partial_folder.h"
#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

/// A new file that counts its checksums while it is written.
class CheckedFile {
 public:
  CheckedFile(const fs::path& path, const std::string& name)
      : path_(path.string()),
        file_(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
    if (!file_.valid()) throw_system_error("cannot create file", path_, errno);
    record_.name = name;
  }

  void append(const void* data, std::size_t size) {
    const int error = write_all(file_.get(), data, size);
    if (error != 0) throw_system_error("cannot write file", path_, error);
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const std::size_t filled = record_.size % kChunkBytes;
      const std::size_t part = std::min(size, kChunkBytes - filled);
      if (filled == 0) record_.crc.push_back(0);
      record_.crc.back() = crc32c(from, part, record_.crc.back());
      record_.size += part;
      from += part;
      size -= part;
    }
  }

  FileRecord finish() {
    if (fsync(file_.get()) != 0) throw_system_error("cannot bring file to disk", path_, errno);
    const int error = file_.close();
    if (error != 0) throw_system_error("cannot close file", path_, error);
    return std::move(record_);
  }

 private:
  std::string path_;
  FileDescriptor file_;
  FileRecord record_;
};

/// Puts `fresh` in the place of `old`, which is then found under `fresh`'s name.
void swap_folders(const std::string& fresh, const std::string& old) {
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, old.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw_system_error("cannot replace folder", old, errno);
  // A file system that cannot exchange: between these renames a kill leaves the old folder under
  // its second name only, which is why checkpoints of different steps have different names.
  const std::string aside = fresh + "-old";
  if (rename(old.c_str(), aside.c_str()) != 0)
    throw_system_error("cannot move folder aside", old, errno);
  if (rename(fresh.c_str(), old.c_str()) != 0) {
    const int error = errno;
    rename(aside.c_str(), old.c_str());
    throw_system_error("cannot replace folder", old, error);
  }
  rename(aside.c_str(), fresh.c_str());
}

void check_replaceable(const fs::path& folder) {
  const fs::file_status status = fs::symlink_status(folder);
  if (!fs::exists(status)) return;
  if (fs::is_directory(status) && (fs::is_empty(folder) || fs::exists(folder / kManifestName))) {
    return;
  }
  throw InputError(
      {"will not replace what is not a folder written by cllm",
       fs::is_directory(status) ? "a folder without " + std::string(kManifestName) : "no folder",
       "a new name", folder.string(), "choose another place or remove it"});
}

}  // namespace

FolderWriter::FolderWriter(const std::string& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();  // "final/"
  folder_ = path.string();
  check_replaceable(path);
  const fs::path parent = path.parent_path();
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) throw Error({"cannot create folder", error.message(), "", parent.string(), ""});
  remove_partial_folders(parent.string());
  partial_ = make_partial_folder(path.string(), &lock_);
}

FolderWriter::~FolderWriter() {
  if (!committed_) {
    std::error_code ignored;  // a leftover is removed by the next writer
    fs::remove_all(partial_, ignored);
  }
}

void FolderWriter::add(const std::string& name,
                       const std::function<void(const ByteSink& sink)>& write) {
  CheckedFile file(fs::path(partial_) / name, name);
  write([&file](const void* data, std::size_t size) { file.append(data, size); });
  files_.push_back(file.finish());
}

void FolderWriter::add_text(const std::string& name, const std::string& text) {
  add(name, [&text](const ByteSink& sink) { sink(text.data(), text.size()); });
}

void FolderWriter::add_tensors(const std::string& name, const std::vector<TensorView>& tensors) {
  add(name, [&tensors](const ByteSink& sink) { emit_safetensors(tensors, sink); });
}

void FolderWriter::commit() {
  add_text(kManifestName, manifest_text(files_));
  sync_folder(partial_);
  check_replaceable(folder_);  // again: it may have appeared meanwhile
  const bool replaces = fs::exists(fs::symlink_status(folder_));
  if (replaces) {
    swap_folders(partial_, folder_);
  } else if (rename(partial_.c_str(), folder_.c_str()) != 0) {
    throw_system_error("cannot rename folder", folder_, errno);
  }
  committed_ = true;
  sync_folder(fs::path(folder_).parent_path().string());
  std::error_code ignored;
  if (replaces) fs::remove_all(partial_, ignored);
}

}  // namespace cllm
