#include "checkpoint/folder_writer.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>

#include "base/crc32c.h"
#include "base/file_calls.h"
#include "base/file_descriptor.h"
#include "base/files.h"
#include "base/folders.h"
#include "checkpoint/partial_folder.h"
#include "cllm/error.h"

namespace cllm {
namespace {

/// Writes a new file and computes its checksums meanwhile.
class CheckedFile {
 public:
  CheckedFile(const std::string& path, const std::string& name)
      : path_(path),
        file_(file_calls().open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
    if (!file_.valid()) throw_system_error("cannot create the file", path_, errno);
    record_.name = name;
  }

  void append(const void* data, std::size_t size) {
    const int error = write_all(file_.get(), data, size);
    if (error != 0) throw_system_error("cannot write the file", path_, error);
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
    if (file_calls().fsync(file_.get()) != 0) {
      throw_system_error("cannot bring the file to disk", path_, errno);
    }
    const int error = file_.close();
    if (error != 0) throw_system_error("cannot close the file", path_, error);
    return std::move(record_);
  }

 private:
  std::string path_;
  FileDescriptor file_;
  FileRecord record_;
};

/// Puts `fresh` in the place of `old`, which then has the name of `fresh`.
void swap_folders(const std::string& fresh, const std::string& old) {
  const FileCalls& calls = file_calls();
  if (calls.renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, old.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) {
    throw_system_error("cannot replace the folder", old, errno);
  }
  // This file system cannot exchange names. A kill between these two renames leaves the old folder
  // under its second name only, which is why checkpoints of different steps have different names.
  const std::string aside = fresh + "-old";
  if (calls.rename(old.c_str(), aside.c_str()) != 0) {
    throw_system_error("cannot move the folder aside", old, errno);
  }
  if (calls.rename(fresh.c_str(), old.c_str()) != 0) {
    const int error = errno;
    calls.rename(aside.c_str(), old.c_str());
    throw_system_error("cannot replace the folder", old, error);
  }
  calls.rename(aside.c_str(), fresh.c_str());
}

void check_replaceable(const std::string& folder) {
  const PathKind kind = kind_of_name(folder);
  if (kind == PathKind::kMissing) return;
  if (kind == PathKind::kFolder &&
      (exists(folder + "/" + kManifestName) || list_folder(folder).empty())) {
    return;
  }
  throw InputError(
      {"will not replace what is not a folder written by cllm",
       kind == PathKind::kFolder ? "a folder without " + std::string(kManifestName) : "no folder",
       "a new name", folder, "choose another place or remove it"});
}

}  // namespace

FolderWriter::FolderWriter(const std::string& folder) : folder_(absolute_path(folder)) {
  check_replaceable(folder_);
  const std::string parent = parent_folder(folder_);
  make_folders(parent);
  remove_partial_folders(parent);
  partial_ = make_partial_folder(folder_, &lock_);
}

FolderWriter::~FolderWriter() {
  if (!committed_) remove_tree(partial_);  // the next writer removes what stays
}

void FolderWriter::add(const std::string& name,
                       const std::function<void(const ByteSink& sink)>& fill) {
  CheckedFile file(partial_ + "/" + name, name);
  fill([&file](const void* data, std::size_t size) { file.append(data, size); });
  files_.push_back(file.finish());
}

void FolderWriter::add_text(const std::string& name, const std::string& text) {
  add(name, [&text](const ByteSink& sink) { sink(text.data(), text.size()); });
}

void FolderWriter::add_tensors(const std::string& name, const std::vector<TensorView>& tensors,
                               WeightType type) {
  add(name, [&](const ByteSink& sink) { emit_safetensors(tensors, sink, type); });
}

void FolderWriter::commit() {
  add_text(kManifestName, manifest_text(files_));
  sync_folder(partial_);
  check_replaceable(folder_);  // again: it may have appeared meanwhile
  const bool replaces = kind_of_name(folder_) != PathKind::kMissing;
  if (replaces) {
    swap_folders(partial_, folder_);
  } else if (file_calls().rename(partial_.c_str(), folder_.c_str()) != 0) {
    throw_system_error("cannot give the finished folder its name", folder_, errno);
  }
  committed_ = true;
  sync_folder(parent_folder(folder_));
  if (replaces) remove_tree(partial_);
}

}  // namespace cllm
