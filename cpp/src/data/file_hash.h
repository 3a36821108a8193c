// The SHA-256 of a data file: at once where it is small, in the background where it is large.
#pragma once

#include <atomic>
#include <exception>
#include <string>
#include <thread>

#include "base/sha256.h"
#include "data/data_file.h"

namespace cllm {

/// Thread safety: used by one thread; its own thread only reads the file.
class FileHash {
 public:
  /// Files up to this size are hashed by the constructor: it takes a fraction of a second.
  static constexpr std::uint64_t kAtOnce = std::uint64_t{64} << 20;

  /// REQUIRES: the file outlives this.
  explicit FileHash(const DataFile& file, std::uint64_t at_once = kAtOnce);
  FileHash(const FileHash&) = delete;
  FileHash& operator=(const FileHash&) = delete;
  /// Ends a hash that is under way.
  ~FileHash();

  /// Whether all of the file has been read, or cannot be.
  bool done() const noexcept { return done_.load(std::memory_order_acquire); }
  /// The hash in hex, once it is there; throws the DataError that kept it from being made.
  const std::string& wait();
  /// The file as it was when the last byte had been hashed. REQUIRES: wait() returned.
  const FileStamp& finished() const noexcept { return finished_; }

  /// The hash of the file as it is now, on the calling thread; of some of its bytes.
  static std::string of(const DataFile& file) { return of(file, 0, file.size()); }
  static std::string of(const DataFile& file, std::uint64_t begin, std::uint64_t end);

 private:
  void run() noexcept;

  const DataFile& file_;
  const int process_;  // threads are not copied into a child process
  std::atomic<bool> cancelled_{false};
  // Written by the thread before done_ is set, read after it.
  std::string hex_;
  FileStamp finished_;
  std::exception_ptr failed_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace cllm
