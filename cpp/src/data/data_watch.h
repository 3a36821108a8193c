// Notices that a data file changes under a run, and names the bytes that the run was trained on.
#pragma once

#include "data/data_file.h"
#include "data/file_hash.h"
#include "data/fingerprint.h"

namespace cllm {

/// Thread safety: used by one thread at a time.
class DataWatch {
 public:
  /// Begins to hash the file. REQUIRES: it outlives this.
  explicit DataWatch(const DataFile& file, std::uint64_t hashed_at_once = FileHash::kAtOnce);

  /// Throws DataError when the file's bytes may be others than when it was opened. One question to
  /// the file system when nothing happened, so that it can be asked for every batch: after it was
  /// read. A file that was renamed, deleted, linked or given away has kept its bytes; of one whose
  /// times alone have changed the bytes are hashed again and compared.
  void check();

  /// Whether fingerprint() and matches() would not have to wait.
  bool is_hashed() const noexcept { return hash_.done(); }
  /// Of the file as it was opened, whatever has happened to it since. Waits for the hash.
  DataFingerprint fingerprint();
  /// The same without waiting: of a file that is not hashed yet, its size and its ends.
  DataFingerprint fingerprint_now() { return hash_.done() ? fingerprint() : parts_; }

  /// Whether these are the bytes that `saved` names. Throws DataError when the file changed before
  /// that could be found out.
  bool matches(const DataFingerprint& saved);

 private:
  bool name_alone_changed(const FileStamp& now) const;
  /// Waits; "" when the file may have been written to before all of it was read.
  const std::string& trusted_hash();

  const DataFile& file_;
  FileStamp seen_;         // the bytes were those of the start when the file had this stamp
  DataFingerprint parts_;  // where the hash of the whole can come too late
  FileHash hash_;
};

/// Size and first and last MiB: tells what it can without reading all of a large file.
DataFingerprint hash_parts(const DataFile& file);

}  // namespace cllm
