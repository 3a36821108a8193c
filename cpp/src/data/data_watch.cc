#include "data/data_watch.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/file_calls.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

[[noreturn]] void throw_changed(const std::string& what, const std::string& seen,
                                const std::string& wanted, const std::string& path) {
  throw DataError(ErrorParts{what, seen, wanted, path,
                             "put the file back as it was and go on with " + option_word("resume") +
                                 ", or start a new run on the changed file, with " +
                                 option_word("init") + " and the last checkpoint"});
}

}  // namespace

DataFingerprint hash_ends(const DataFile& file) {
  const std::uint64_t part = std::min<std::uint64_t>(file.size(), std::uint64_t{1} << 20);
  return {file.size(), "", FileHash::of(file, 0, part),
          FileHash::of(file, file.size() - part, file.size())};
}

DataWatch::DataWatch(const DataFile& file, std::uint64_t hashed_at_once)
    : file_(file), seen_(file.opened()), ends_(hash_ends(file)), hash_(file, hashed_at_once) {}

/// The change time also moves with names, links, owners and permissions. A program that writes
/// moves the time of writing too. If it sets that time back, none of the reasons below holds, so
/// the change is still noticed.
bool DataWatch::name_alone_changed(const FileStamp& now) const {
  if (now.size != seen_.size || now.written != seen_.written) return false;
  if (now.links != seen_.links || now.mode != seen_.mode || now.owner != seen_.owner ||
      now.group != seen_.group) {
    return true;
  }
  struct stat named{};
  return file_calls().stat(file_.path().c_str(), &named) != 0 || named.st_ino != now.inode ||
         named.st_dev != now.device;
}

const std::string& DataWatch::trusted_hash() {
  static const std::string unknown;
  try {
    const std::string& hash = hash_.wait();
    const FileStamp& end = hash_.finished();
    const FileStamp& start = file_.opened();
    if (end.size != start.size || end.written != start.written) return unknown;
    return hash;
  } catch (const DataError&) {
    return unknown;
  }
}

void DataWatch::check() {
  const FileStamp now = file_.stamp();
  if (now.untouched_since(seen_)) return;
  const std::string& path = file_.path();
  if (now.size != seen_.size) {
    throw_changed(now.size < seen_.size ? "the data file was cut while it was used"
                                        : "the data file grew while it was used",
                  std::to_string(now.size) + " bytes", std::to_string(seen_.size) + " as before",
                  path);
  }
  if (!name_alone_changed(now)) {
    if (!hash_.done() || trusted_hash().empty()) {
      throw_changed("the data file was written to while it was used, before all of it was hashed",
                    "a new time of change", "a file that stays as it was", path);
    }
    if (FileHash::of(file_) != trusted_hash()) {
      throw_changed("the data file was written to while it was used",
                    "other bytes than at the start", "a file that stays as it was", path);
    }
  }
  seen_ = now;
}

DataFingerprint DataWatch::fingerprint() {
  const std::string& hash = trusted_hash();
  return hash.empty() ? ends_ : DataFingerprint{file_.size(), hash, "", ""};
}

bool DataWatch::matches(const DataFingerprint& saved) {
  if (saved.size != file_.size()) return false;
  if (saved.sha256.empty()) return saved == ends_;
  hash_.wait();
  check();
  return trusted_hash() == saved.sha256;
}

}  // namespace cllm
