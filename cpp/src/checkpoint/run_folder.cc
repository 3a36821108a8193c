#include "checkpoint/run_folder.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/file_calls.h"
#include "base/files.h"
#include "checkpoint/partial_folder.h"
#include "cllm/error.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

constexpr const char* kConfig = "config.toml";
constexpr const char* kCheckpoints = "checkpoints";
constexpr const char* kFinal = "final";

[[noreturn]] void refuse_out(const char* what, const std::string& seen, const char* wanted,
                             const std::string& hint = "") {
  throw InputError(ErrorParts{what, seen, wanted, option_word("out"), hint});
}

/// Only making something tells: root passes every permission check, and read-only mounts pass
/// access().
void check_writable(const std::string& folder) {
  try {
    FileDescriptor lock;
    const std::string probe = make_partial_folder(folder + "/probe", &lock);
    if (file_calls().rmdir(probe.c_str()) != 0) {
      throw_system_error("cannot remove the folder", probe, errno);
    }
  } catch (const Error& error) {
    refuse_out("cannot write there", error.what(), "a folder that can be written to");
  }
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_log(const std::string& name) {
  return name == "metrics.jsonl" || name == "spheres.jsonl" || name == "groups.jsonl" ||
         name == "rings.jsonl";
}

bool is_partial_file(const std::string& name) {
  return name == std::string(kConfig) + ".partial" || ends_with(name, ".jsonl.partial");
}

/// Says whether everything in a folder of checkpoints is half done.
bool holds_no_checkpoint(const std::string& checkpoints) {
  const std::vector<std::string> names = list_folder(checkpoints);
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return is_partial_name(name) || name == kNextLinkName;
  });
}

/// Says what check_new_run_folder needs to know of the contents of a folder.
bool holds_only_beginnings(const std::string& run) {
  const bool begun = is_folder(run + "/" + kCheckpoints);
  const std::vector<std::string> names = list_folder(run);
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    const std::string path = run + "/" + name;
    if (is_log(name)) return kind_of_name(path) == PathKind::kFile && read_text_file(path).empty();
    if (name == kConfig) return begun && kind_of_name(path) == PathKind::kFile;
    if (name == kCheckpoints) {
      return kind_of_name(path) == PathKind::kFolder && holds_no_checkpoint(path);
    }
    return name == kLockName || is_partial_name(name) || is_partial_file(name);
  });
}

/// Says whether a run was begun there. A config.toml alone may be what a user wrote.
bool holds_run(const std::string& place) {
  return kind_of_name(place + "/" + kConfig) == PathKind::kFile &&
         kind_of_name(place + "/" + kCheckpoints) == PathKind::kFolder;
}

void check_free(const std::string& place, const std::string& named, bool overwrite) {
  if (holds_only_beginnings(place) || (overwrite && holds_run(place))) return;
  if (overwrite) {
    refuse_out("only a run can be overwritten", named,
               "a folder with the config.toml and the checkpoints of a run",
               "choose a new name, or move away what is there");
  }
  std::string hint;
  if (exists(place + "/" + kConfig)) hint = "to continue it: " + option_word("resume", named);
  if (holds_run(place)) hint += "; to replace it: " + option_flag("overwrite");
  refuse_out("the run folder is already used", named, "a new name or an empty folder", hint);
}

void check_place(const std::string& place, const std::string& path, bool overwrite) {
  if (kind_of_name(place) != PathKind::kMissing) {
    if (!is_folder(place)) {
      refuse_out("the run folder is a file, not a folder", path, "a new name or an empty folder");
    }
    check_not_locked(place);
    check_free(place, path, overwrite);
    return check_writable(place);
  }
  std::string parent = parent_folder(place);
  // The name itself is looked at, because a link that leads nowhere is in the way of a folder.
  while (kind_of_name(parent) == PathKind::kMissing) parent = parent_folder(parent);
  if (!is_folder(parent)) refuse_out("the run folder would lie below a file", parent, "a folder");
  remove_partial_folders(parent);  // also the probe of a start that was killed
  check_writable(parent);
}

}  // namespace

void check_new_run_folder(const std::string& path, bool overwrite) {
  try {
    check_place(absolute_path(path), path, overwrite);
  } catch (const InputError&) {
    throw;
  } catch (const Error& error) {  // links in a circle, a name that is too long
    refuse_out("no run folder can be there", error.what(), "a folder to create");
  }
}

RunFolder::RunFolder(const std::string& path, Start start) : path_(absolute_path(path)) {
  if (start != Start::kResumed) make_folders(path_);
  lock_.emplace(path_);
  // A run that lost the race for a new folder gets here after the winner, which has begun or
  // finished.
  if (start != Start::kResumed) check_free(path_, path, start == Start::kReplaced);
  folder_ = FileDescriptor(file_calls().open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (!folder_.valid() || !identify(folder_.get(), &identity_)) {
    throw_system_error("cannot open the run folder", path_, errno);
  }
  clear_leftovers();
  if (start == Start::kReplaced) remove_run();
  make_folders(checkpoints());
  sync_folder(path_);
  sync_folder(parent_folder(path_));
}

void RunFolder::clear_leftovers() const {
  remove_partial_folders(path_);
  for (const std::string& name : list_folder(path_)) {
    if (is_partial_file(name)) remove_tree(path_ + "/" + name);
  }
  if (!is_folder(checkpoints())) return;
  remove_partial_folders(checkpoints());
  remove_tree(checkpoints() + "/" + kNextLinkName);
}

/// config.toml stays until the new run writes its own, because it says that this is the folder of a
/// run: if the process dies in between, the folder can be overwritten again.
void RunFolder::remove_run() const {
  std::vector<std::string> names = {kFinal};
  for (const std::string& name : list_folder(path_)) {
    if (is_log(name)) names.push_back(name);
  }
  if (is_folder(checkpoints())) {
    for (const std::string& name : list_folder(checkpoints())) {
      names.push_back(std::string(kCheckpoints) + "/" + name);
    }
  }
  for (const std::string& name : names) {
    const std::string stays = remove_tree(path_ + "/" + name);
    if (!stays.empty()) {
      throw Error(ErrorParts{"the run that was there cannot be removed", stays, "", path_, ""});
    }
  }
}

std::string RunFolder::place_now() const {
  const auto leads_here = [this](const std::string& path) {
    FileIdentity named;
    return identify(path, &named) && named == identity_;
  };
  // This is asked first, because the kernel names a folder below a link differently.
  if (leads_here(path_)) return path_;
  const std::string now = link_target("/proc/self/fd/" + std::to_string(folder_.get()));
  return leads_here(now) ? now : "";
}

bool RunFolder::removed() const {
  struct stat info{};
  return file_calls().fstat(folder_.get(), &info) == 0 && info.st_nlink == 0;
}

bool RunFolder::follow() {
  const std::string now = place_now();
  if (now.empty()) return false;  // removed, or not visible at the moment
  const bool moved = now != path_;
  if (moved) {
    path_ = now;
    lock_->moved_to(path_);
  }
  lock_->renew();
  return moved;
}

void RunFolder::write_config(std::string_view text) const {
  write_file_durably(path_ + "/" + kConfig, text);
}

}  // namespace cllm
