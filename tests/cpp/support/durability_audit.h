// The audit notes what a power cut would lose: bytes and names that no fsync has made durable.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_calls.h"

namespace cllm {

/// Watches the calls while it lives. A file counts as written from a write, pwrite or ftruncate to
/// an fsync of it; a name counts as made from mkdir, creation, rename or symlink to an fsync of its
/// folder. What is renamed must be durable before. fsync itself is noted but not done. Only one may
/// live at a time.
class DurabilityAudit {
 public:
  DurabilityAudit() : scope_(table()) { state() = State(); }

  /// Returns what is not durable now, by path.
  std::vector<std::string> at_risk() const {
    const std::lock_guard<std::mutex> lock(mutex());
    std::vector<std::string> found;
    for (const auto& [file, path] : state().bytes) found.push_back("bytes of " + path);
    for (const auto& [folder, names] : state().names) {
      for (const std::string& name : names) found.push_back("name " + name);
    }
    found.insert(found.end(), state().early.begin(), state().early.end());
    return found;
  }

 private:
  using Identity = std::pair<dev_t, ino_t>;
  struct State {
    std::map<Identity, std::string> bytes;
    std::map<Identity, std::set<std::string>> names;
    std::vector<std::string> early;  ///< got their final names before their contents were durable
  };
  static State& state() {
    static State s;
    return s;
  }
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }

  static Identity identity(int fd) {
    struct stat info{};
    fstat(fd, &info);
    return {info.st_dev, info.st_ino};
  }
  static Identity parent_of(const std::string& path) {
    struct stat info{};
    const std::size_t slash = path.find_last_of('/');
    stat(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), &info);
    return {info.st_dev, info.st_ino};
  }
  static void note_name(const std::string& path, bool there) {
    const std::lock_guard<std::mutex> lock(mutex());
    std::set<std::string>& names = state().names[parent_of(path)];
    if (there) {
      names.insert(path);
    } else {
      names.erase(path);
    }
  }
  /// Checks that a final name never shows contents that a power cut would lose.
  static void check_contents(const std::string& from) {
    const std::lock_guard<std::mutex> lock(mutex());
    const auto check = [&](const std::string& path) {
      if (path.rfind(from + "/", 0) == 0) state().early.push_back("renamed too early: " + path);
    };
    for (const auto& [file, path] : state().bytes) check(path + "/");
    for (const auto& [folder, names] : state().names) {
      for (const std::string& name : names) check(name);
    }
  }
  static void note_bytes(int fd) {
    struct stat info{};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
    const std::lock_guard<std::mutex> lock(mutex());
    std::string path(4096, '\0');
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t size = readlink(link.c_str(), path.data(), path.size());
    path.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    state().bytes[{info.st_dev, info.st_ino}] = path;
  }
  static int sync(int fd) {
    const std::lock_guard<std::mutex> lock(mutex());
    state().bytes.erase(identity(fd));
    state().names.erase(identity(fd));
    return 0;
  }

  static const FileCalls& table() {
    static const FileCalls calls = [] {
      FileCalls t = system_file_calls();
      t.open = [](const char* path, int flags, mode_t mode) {
        const bool there = access(path, F_OK) == 0;
        const int fd = system_file_calls().open(path, flags, mode);
        if (fd >= 0 && !there && (flags & O_CREAT) != 0) note_name(path, true);
        return fd;
      };
      t.write = [](int fd, const void* data, std::size_t size) {
        note_bytes(fd);
        return system_file_calls().write(fd, data, size);
      };
      t.pwrite = [](int fd, const void* data, std::size_t size, off_t at) {
        note_bytes(fd);
        return system_file_calls().pwrite(fd, data, size, at);
      };
      t.ftruncate = [](int fd, off_t size) {
        note_bytes(fd);
        return system_file_calls().ftruncate(fd, size);
      };
      t.fsync = t.fdatasync = sync;
      t.mkdir = [](const char* path, mode_t mode) {
        const int code = system_file_calls().mkdir(path, mode);
        if (code == 0) note_name(path, true);
        return code;
      };
      t.symlink = [](const char* target, const char* path) {
        const int code = system_file_calls().symlink(target, path);
        if (code == 0) note_name(path, true);
        return code;
      };
      t.rename = [](const char* from, const char* to) {
        check_contents(from);
        const int code = system_file_calls().rename(from, to);
        if (code == 0) note_name(from, false);
        if (code == 0) note_name(to, true);
        return code;
      };
      t.renameat2 = [](int a, const char* from, int b, const char* to, unsigned flags) {
        check_contents(from);
        const int code = system_file_calls().renameat2(a, from, b, to, flags);
        if (code == 0) note_name(to, true);
        return code;
      };
      t.rmdir = [](const char* path) {
        note_name(path, false);
        return system_file_calls().rmdir(path);
      };
      t.unlink = [](const char* path) {
        struct stat info{};
        if (lstat(path, &info) == 0 && info.st_nlink == 1) {
          const std::lock_guard<std::mutex> lock(mutex());
          state().bytes.erase({info.st_dev, info.st_ino});
        }
        note_name(path, false);
        return system_file_calls().unlink(path);
      };
      return t;
    }();
    return calls;
  }

  FileCallsForTesting scope_;
};

}  // namespace cllm
