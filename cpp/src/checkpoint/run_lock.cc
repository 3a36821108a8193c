#include "checkpoint/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <sstream>
#include <system_error>
#include <thread>

#include "base/file_calls.h"
#include "base/files.h"
#include "base/folders.h"
#include "cllm/error.h"

namespace cllm {
namespace {

/// Says who holds a run, according to the lock file.
struct Holder {
  std::string host, boot, pid, start, since;
  bool operator==(const Holder& o) const {
    return host == o.host && boot == o.boot && pid == o.pid && start == o.start;
  }
};

/// Reads a small file that may change or be anything: at most 4 KiB, "" when it cannot be read.
std::string small_text(int fd) {
  std::array<char, 4096> text;
  const ssize_t got = file_calls().pread(fd, text.data(), text.size(), 0);
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : "";
}

std::string small_file(const std::string& path) {
  const FileDescriptor file(
      file_calls().open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0));
  return file.valid() ? small_text(file.get()) : "";
}

/// Returns when a process began, in ticks since the machine's start; this tells it from a later
/// process with the same number. "" when there is no such process.
std::string start_of(const std::string& pid) {
  const std::string text = small_file("/proc/" + pid + "/stat");
  const std::size_t name_end = text.rfind(')');  // the name may hold blanks and brackets
  if (name_end == std::string::npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return fields ? field : "";
}

Holder myself() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::array<char, 64> since{};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(since.data(), since.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  std::string boot = small_file("/proc/sys/kernel/random/boot_id");
  boot.resize(std::min(boot.find('\n'), boot.size()));
  const std::string pid = std::to_string(getpid());
  return {host.data(), boot, pid, start_of(pid), since.data()};
}

std::string text_of(const Holder& h) {
  return "host " + h.host + "\nboot " + h.boot + "\npid " + h.pid + "\nstart " + h.start +
         "\nsince " + h.since + "\n";
}

Holder parse_holder(const std::string& text) {
  Holder h;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = std::min(line.find(' '), line.size());
    std::string value = line.substr(std::min(blank + 1, line.size()), 100);
    for (char& c : value) c = c >= ' ' && c <= '~' ? c : '?';
    const std::string key = line.substr(0, blank);
    if (key == "host") h.host = value;
    if (key == "boot") h.boot = value;
    if (key == "pid" && value.find_first_not_of("0123456789") == std::string::npos) h.pid = value;
    if (key == "start") h.start = value;
    if (key == "since") h.since = value;
  }
  return h;
}

[[noreturn]] void refuse(const std::string& path, const Holder& h, const std::string& hint) {
  std::string who = h.pid.empty() ? "another process" : "process " + h.pid;
  if (!h.host.empty()) who += " on " + h.host;
  if (!h.since.empty()) who += " since " + h.since;
  throw InputError(
      {"the run is in use", who, "a run that nobody else has open", parent_folder(path), hint});
}

constexpr const char* kWait = "wait for its end or stop it";

/// Where the kernel has no locks, the contents of the file decide. Throws unless its writer is
/// gone.
void check_gone(const std::string& path, const Holder& h) {
  const Holder me = myself();
  const std::string remove = "if that run is no longer alive, remove " + path;
  if (h.pid.empty() || h.host != me.host) refuse(path, h, remove);
  if (h.boot == me.boot && start_of(h.pid) == h.start) refuse(path, h, kWait);
}

bool no_locks(int code) {
  return code == ENOLCK || code == EOPNOTSUPP || code == ENOSYS || code == EINVAL;
}

int lock(int fd, int operation) {
  int code = 0;
  do {
    code = file_calls().flock(fd, operation | LOCK_NB) == 0 ? 0 : errno;
  } while (code == EINTR);
  return code;
}

/// Locks like lock(), but waits for a process that only looks (check_not_locked) and is gone in a
/// moment.
int lock_patiently(int fd) {
  int code = lock(fd, LOCK_EX);
  for (int i = 0; i < 5 && code == EWOULDBLOCK; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    code = lock(fd, LOCK_EX);
  }
  return code;
}

}  // namespace

RunLock::RunLock(const std::string& run) : path_(run + "/" + kLockName), owner_(getpid()) {
  acquire();
}

RunLock::~RunLock() {
  // The file is removed while it is locked: whoever opened it meanwhile sees that the name is gone,
  // and starts over (see ours). A forked child leaves the file to its parent.
  if (owner_ == getpid() && ours()) file_calls().unlink(path_.c_str());
}

void RunLock::renew() {
  if (ours()) return;
  file_.close();
  acquire();
}

void RunLock::moved_to(const std::string& run) { path_ = run + "/" + kLockName; }

bool RunLock::ours() const noexcept {
  FileIdentity held, named;
  return file_.valid() && identify(file_.get(), &held) && identify(path_, &named) && held == named;
}

void RunLock::acquire() {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    bool by_kernel = true;
    if (!try_file(&by_kernel)) continue;
    const std::string text = text_of(myself());
    int code = file_calls().ftruncate(file_.get(), 0) == 0 ? 0 : errno;
    if (code == 0) code = write_all(file_.get(), text.data(), text.size());
    // With a lock of the kernel the contents only inform; a full disk may refuse them.
    if (code == 0 || by_kernel) return;
    file_calls().unlink(path_.c_str());
    throw_system_error("cannot write the lock of the run", path_, code);
  }
  throw Error({"cannot lock the run", "a lock file that changes all the time", "", path_,
               "is another program removing it?"});
}

/// Removes the file that was found stale, and no other: another process may have put a new one in
/// its place since it was read.
void RunLock::remove_stale() {
  const std::string aside = path_ + "-" + std::to_string(getpid());
  FileIdentity found, held;
  if (file_calls().rename(path_.c_str(), aside.c_str()) != 0) return;
  const bool stale = identify(aside, &found) && identify(file_.get(), &held) && found == held;
  if (stale || exists(path_)) {
    file_calls().unlink(aside.c_str());
  } else {
    file_calls().rename(aside.c_str(), path_.c_str());
  }
}

/// Makes one attempt; false means: look again. Throws when another process holds the run.
bool RunLock::try_file(bool* by_kernel) {
  const FileCalls& calls = file_calls();
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  file_ = FileDescriptor(calls.open(path_.c_str(), kFlags | O_EXCL, 0666));
  const bool fresh = file_.valid();
  if (!fresh && errno == EEXIST) file_ = FileDescriptor(calls.open(path_.c_str(), kFlags, 0666));
  if (!file_.valid()) {
    throw InputError({"cannot lock the run", std::generic_category().message(errno),
                      "a folder and a lock file that can be written to", path_, ""});
  }
  const int code = lock_patiently(file_.get());
  if (code == EWOULDBLOCK) refuse(path_, parse_holder(small_text(file_.get())), kWait);
  if (code != 0 && !no_locks(code)) throw_system_error("cannot lock the run", path_, code);
  *by_kernel = code == 0;
  if (!*by_kernel && !fresh) {
    check_gone(path_, parse_holder(small_text(file_.get())));
    remove_stale();
    return false;
  }
  return ours();
}

void check_not_locked(const std::string& run) {
  const std::string path = run + "/" + kLockName;
  const FileDescriptor file(
      file_calls().open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0));
  if (!file.valid()) return;
  const int code = lock(file.get(), LOCK_SH);  // shared: two that look do not see each other
  if (code == EWOULDBLOCK) refuse(path, parse_holder(small_text(file.get())), kWait);
  if (no_locks(code)) check_gone(path, parse_holder(small_text(file.get())));
}

}  // namespace cllm
