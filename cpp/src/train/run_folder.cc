#include "train/run_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const char* what, const std::string& seen, const char* wanted,
                         const std::string& hint = "") {
  throw InputError(ErrorParts{what, seen, wanted, "--out", hint});
}

/// Only making something tells: root passes every permission check, read-only mounts pass access().
void check_writable(const fs::path& folder) {
  std::string probe = (folder / ".cllm-probe-XXXXXX").string();
  if (::mkdtemp(probe.data()) == nullptr) {
    const std::string reason = std::generic_category().message(errno);
    refuse("cannot write there", folder.string() + " (" + reason + ")",
           "a folder that can be written to");
  }
  ::rmdir(probe.c_str());
}

}  // namespace

void check_new_run_folder(const std::string& path) {
  std::error_code error;
  fs::path place = fs::absolute(fs::path(path), error).lexically_normal();
  if (!place.has_filename()) place = place.parent_path();  // "run/"
  const fs::file_status status = fs::symlink_status(place, error);
  if (fs::exists(status)) {
    if (!fs::is_directory(place, error)) {
      refuse("the run folder is a file, not a folder", path, "a new name or an empty folder");
    }
    if (!fs::is_empty(place, error) || error) {
      const bool is_run = fs::exists(place / "config.toml", error);
      refuse("the run folder is already used", path, "a new name or an empty folder",
             is_run ? "to continue it: --resume " + path : "");
    }
    return check_writable(place);
  }
  fs::path parent = place.parent_path();
  while (!fs::exists(parent, error) && parent != parent.root_path()) parent = parent.parent_path();
  if (!fs::is_directory(parent, error)) {
    refuse("the run folder would lie below a file", parent.string(), "a folder");
  }
  check_writable(parent);
}

}  // namespace cllm
