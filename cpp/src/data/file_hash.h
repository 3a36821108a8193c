// The SHA-256 of a data file is computed at once if it is small, in the background if it is large.
#pragma once

#include <atomic>
#include <exception>
#include <string>
#include <thread>

#include "base/sha256.h"
#include "data/data_file.h"

namespace cllm {

/// Thread safety: one thread uses it; its own thread only reads the file.
class FileHash {
 public:
  /// The constructor hashes files up to this size, which takes a fraction of a second.
  static constexpr std::uint64_t kAtOnce = std::uint64_t{64} << 20;

  /// REQUIRES: the file outlives this.
  explicit FileHash(const DataFile& file, std::uint64_t at_once = kAtOnce);
  FileHash(const FileHash&) = delete;
  FileHash& operator=(const FileHash&) = delete;
  /// Ends a hash that is under way.
  ~FileHash();

  /// Says whether all of the file has been read, or cannot be.
  bool done() const noexcept { return done_.load(std::memory_order_acquire); }
  /// Waits for the hash and returns it in hex; throws the DataError that prevented it.
  const std::string& wait();
  /// Returns the stamp that the file had when the last byte had been hashed. REQUIRES: wait()
  /// returned.
  const FileStamp& finished() const noexcept { return finished_; }

  /// Hashes the file, or some of its bytes, as it is now, on the calling thread.
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
