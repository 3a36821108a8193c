#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "base/file_calls.h"
#include "cllm/error.h"

namespace cllm {
namespace {

[[noreturn]] void throw_unreadable(const std::string& path, int code) {
  if (path.empty()) throw InputError({"no file name given", "an empty path", "", "", ""});
  if (code == ENOENT || code == ENOTDIR) {
    throw InputError({"no such file", "", "", path,
                      "check the spelling; relative paths start at the current folder"});
  }
  const char* hint = "";
  if (code == EACCES || code == EPERM) hint = "check its permissions and those of its folder";
  if (code == ELOOP) hint = "its symbolic links lead in a circle";
  throw InputError({"cannot read the file", std::generic_category().message(code), "", path, hint});
}

}  // namespace

FileDescriptor open_for_reading(const std::string& path, std::size_t* size) {
  // The path is looked at before it is opened as well as after: opening a pipe would wait for its
  // writer, and opening a device can have effects.
  struct stat before{};
  if (file_calls().stat(path.c_str(), &before) != 0) throw_unreadable(path, errno);
  if (S_ISDIR(before.st_mode)) {
    throw InputError({"this is a folder", "", "a file", path, "name a file inside it"});
  }
  if (!S_ISREG(before.st_mode)) {
    throw InputError({"this is a pipe, socket or device", "", "an ordinary file", path,
                      "copy its contents to a file first"});
  }
  FileDescriptor file(file_calls().open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0));
  if (!file.valid()) throw_unreadable(path, errno);
  struct stat now{};
  if (file_calls().fstat(file.get(), &now) != 0) throw_unreadable(path, errno);
  *size = static_cast<std::size_t>(now.st_size);
  return file;
}

std::string read_text_file(const std::string& path) {
  std::size_t size = 0;
  const FileDescriptor file = open_for_reading(path, &size);
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = file_calls().read(file.get(), &text[done], size - done);
    if (n == 0) break;  // the file shrank meanwhile: this is what it contains
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      throw_unreadable(path, errno);
    }
  }
  text.resize(done);
  return text;
}

bool is_there(const std::string& path) {
  struct stat found{};
  if (file_calls().stat(path.c_str(), &found) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) throw_unreadable(path, errno);
  return false;
}

void sync_folder(const std::string& path) {
  const FileDescriptor folder(
      file_calls().open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (!folder.valid()) throw_system_error("cannot open the folder", path, errno);
  // EINVAL means that this file system has no such operation for folders; nothing better exists.
  if (file_calls().fsync(folder.get()) != 0 && errno != EINVAL) {
    throw_system_error("cannot make the folder's entries durable", path, errno);
  }
}

std::string parent_folder(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

DurableFile::DurableFile(const std::string& path)
    : path_(path),
      partial_(path + ".partial"),
      file_(file_calls().open(partial_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                              0666)) {
  if (!file_.valid()) throw_system_error("cannot create the file", path_, errno);
}

DurableFile::~DurableFile() {
  if (!file_.valid()) return;
  file_.close();
  file_calls().unlink(partial_.c_str());
}

void DurableFile::write(const void* data, std::size_t size) {
  const int code = write_all(file_.get(), data, size);
  if (code != 0) throw_system_error("cannot write the file", path_, code);
}

void DurableFile::overwrite(std::size_t offset, const void* data, std::size_t size) {
  const char* from = static_cast<const char*>(data);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = file_calls().pwrite(file_.get(), from + done, size - done,
                                          static_cast<off_t>(offset + done));
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      throw_system_error("cannot write the file", path_, n == 0 ? EIO : errno);
    }
  }
}

void DurableFile::commit() {
  if (file_calls().fsync(file_.get()) != 0)
    throw_system_error("cannot make the file durable", path_, errno);
  if (file_calls().rename(partial_.c_str(), path_.c_str()) != 0) {
    throw_system_error("cannot give the finished file its name", path_, errno);
  }
  const int code = file_.close();
  if (code != 0) throw_system_error("cannot close the file", path_, code);
  sync_folder(parent_folder(path_));
}

void write_file_durably(const std::string& path, std::string_view bytes) {
  DurableFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace cllm
