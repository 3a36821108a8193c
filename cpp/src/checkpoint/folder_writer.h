// A folder is written so that it is either there, complete and with a manifest, or not there at
// all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors.h"

namespace cllm {

/// Everything is written to a hidden sibling ".cllm-partial-*". Each file is fsynced, and
/// manifest.json comes last. commit() renames the sibling to the final name and fsyncs the parent.
/// If the process is killed at any instant, the final name holds what it held before, or the whole
/// new folder.
///
/// A writer holds a lock on its sibling as long as it lives, and the kernel drops the lock when the
/// process dies. So the next writer can tell leftovers, which it removes, from the work of another
/// living process.
class FolderWriter {
 public:
  /// Makes missing parents. Throws InputError when `folder` exists and is not a folder with a
  /// manifest (a writer replaces only what CLLM wrote), Error when the file system refuses.
  explicit FolderWriter(const std::string& folder);
  /// Removes what was written unless commit() succeeded.
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  /// Adds a file; `fill` hands its bytes to the sink that it is given.
  void add(const std::string& name, const std::function<void(const ByteSink& sink)>& fill);
  void add_text(const std::string& name, const std::string& text);
  void add_tensors(const std::string& name, const std::vector<TensorView>& tensors,
                   WeightType type = WeightType::kFloat32);

  /// Completes the folder; this must be the last call. A folder of that name is replaced in one
  /// step.
  void commit();

 private:
  std::string folder_, partial_;
  FileDescriptor lock_;  // the partial folder, open and locked
  bool committed_ = false;
  std::vector<FileRecord> files_;
};

}  // namespace cllm
