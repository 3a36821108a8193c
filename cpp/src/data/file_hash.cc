#include "data/file_hash.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <system_error>

namespace cllm {
namespace {

/// Many files are hashed one after the other: side by side they would only get in each other's way
/// on the disk. A thread that is cancelled does not wait for its turn.
class Turn {
 public:
  explicit Turn(const std::atomic<bool>& cancelled) {
    while (!take() && !cancelled.load(std::memory_order_relaxed)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (taken_) owner().store(0, std::memory_order_release);
  }

 private:
  /// Holds the process whose turn it is. A child process has none of its parent's threads, so that
  /// a turn of the parent's is free there.
  static std::atomic<int>& owner() {
    static std::atomic<int> process{0};
    return process;
  }
  bool take() {
    const int own = getpid();
    int seen = owner().load(std::memory_order_relaxed);
    taken_ = seen != own && owner().compare_exchange_strong(seen, own, std::memory_order_acquire);
    return taken_;
  }

  bool taken_ = false;
};

}  // namespace

FileHash::FileHash(const DataFile& file, std::uint64_t at_once) : file_(file), process_(getpid()) {
  if (file.size() <= at_once) {
    run();
    return;
  }
  try {
    thread_ = std::thread([this] {
      // On Linux this sets the priority of the thread alone: hashing gives way to training.
      setpriority(PRIO_PROCESS, 0, 19);
      const Turn turn(cancelled_);
      run();
    });
    // Without more threads it still works, but takes longer.
  } catch (const std::system_error&) {
    run();
  }
}

FileHash::~FileHash() {
  if (!thread_.joinable()) return;
  if (getpid() != process_) {
    thread_.detach();
    return;
  }
  cancelled_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void FileHash::run() noexcept {
  try {
    Sha256 hash;
    file_.scan(0, file_.size(), [&](std::uint64_t, Span<const std::byte> bytes) {
      hash.update(bytes.data(), bytes.size());
      return !cancelled_.load(std::memory_order_relaxed);
    });
    hex_ = hex(hash.finish());
    finished_ = file_.stamp();
  } catch (...) {
    failed_ = std::current_exception();
  }
  done_.store(true, std::memory_order_release);
}

const std::string& FileHash::wait() {
  if (thread_.joinable() && getpid() == process_) thread_.join();
  if (failed_) std::rethrow_exception(failed_);
  return hex_;
}

std::string FileHash::of(const DataFile& file, std::uint64_t begin, std::uint64_t end) {
  Sha256 hash;
  file.scan(begin, end, [&](std::uint64_t, Span<const std::byte> bytes) {
    hash.update(bytes.data(), bytes.size());
    return true;
  });
  return hex(hash.finish());
}

}  // namespace cllm
