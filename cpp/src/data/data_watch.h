// A watch notices that a data file changes under a run, and names the bytes that the run was
// trained on.
#pragma once

#include "data/data_file.h"
#include "data/file_hash.h"
#include "data/fingerprint.h"

namespace cllm {

/// Thread safety: one thread at a time uses it.
class DataWatch {
 public:
  /// Begins to hash the file. REQUIRES: the file outlives this.
  explicit DataWatch(const DataFile& file, std::uint64_t hashed_at_once = FileHash::kAtOnce);

  /// Throws DataError when the file's bytes may differ from those when it was opened. If nothing
  /// happened, this asks the file system only once, so it can be called for every batch, after the
  /// batch was read. A file that was renamed, deleted, linked or given to another owner has kept
  /// its bytes. If only the times have changed, the bytes are hashed again and compared.
  void check();

  /// Says whether fingerprint() and matches() can answer without waiting.
  bool is_hashed() const noexcept { return hash_.done(); }
  /// Returns the fingerprint of the file as it was opened, whatever has happened to it since. Waits
  /// for the hash.
  DataFingerprint fingerprint();
  /// Returns the size and the hashes of the first and the last MiB.
  const DataFingerprint& ends() const noexcept { return ends_; }

  /// Says whether these are the bytes that `saved` names. Throws DataError when the file changed
  /// before that was known.
  bool matches(const DataFingerprint& saved);

 private:
  bool name_alone_changed(const FileStamp& now) const;
  /// Waits for the hash; returns "" when the file may have been written to before all of it was
  /// read.
  const std::string& trusted_hash();

  const DataFile& file_;
  FileStamp seen_;        // at the stamp of the start, or one at which the bytes were the same
  DataFingerprint ends_;  // for when the hash of the whole file comes too late
  FileHash hash_;
};

/// Hashes the size and the first and last MiB: that tells what it can without reading a large file.
DataFingerprint hash_ends(const DataFile& file);

}  // namespace cllm
