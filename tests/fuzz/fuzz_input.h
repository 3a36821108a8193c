// What fuzzers share: bytes as text or as a file, and the only errors that may leave a parser.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "cllm/error.h"

namespace cllm {

inline std::string fuzz_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the process, as a crash does, unless `holds`.
inline void fuzz_require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

/// Runs `action`, which may refuse its input with one short line. Returns whether it accepted it.
template <class Action>
bool fuzz_attempt(Action&& action) {
  try {
    action();
    return true;
  } catch (const InputError& error) {
    const std::string text = error.what();
    fuzz_require(!text.empty() && text.size() < 3000, "an error is one short line");
    fuzz_require(text.find('\n') == std::string::npos, "an error is one line");
    return false;
  }
}

/// A file in memory that has a path.
class FuzzFile {
 public:
  FuzzFile(const std::uint8_t* data, std::size_t size) : file_(memfd_create("fuzz", 0)) {
    fuzz_require(file_ >= 0 && write(file_, data, size) == static_cast<ssize_t>(size), "memfd");
  }
  FuzzFile(const FuzzFile&) = delete;
  FuzzFile& operator=(const FuzzFile&) = delete;
  ~FuzzFile() { close(file_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  const int file_;
};

/// A folder in memory that lives as long as the process.
inline const std::string& fuzz_folder() {
  // Never freed: it is read when the process ends, after what is static has gone.
  static const std::string& folder = *new std::string([] {
    std::string name = "/dev/shm/cllm-fuzz-XXXXXX";
    fuzz_require(mkdtemp(name.data()) != nullptr, "a folder in memory");
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(fuzz_folder(), ignored);
    });
    return name;
  }());
  return folder;
}

inline void fuzz_write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace cllm
