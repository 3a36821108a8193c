#include "checkpoint/checkpoint_set.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/file_calls.h"
#include "base/files.h"
#include "base/folders.h"
#include "checkpoint/manifest.h"
#include "checkpoint/partial_folder.h"
#include "checkpoint/trainer_state.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr const char* kPrefix = "step-";
constexpr const char* kLatest = "latest";

/// Returns the step in a checkpoint's name, -1 when it is not one.
std::int64_t step_of(const std::string& name) {
  const std::string prefix = kPrefix;
  if (name.rfind(prefix, 0) != 0) return -1;
  const std::string digits = name.substr(prefix.size());
  if (digits.empty() || digits.size() > 18 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return -1;
  }
  return std::stoll(digits);
}

/// Returns the step of the complete checkpoint in `folder`. Throws Error when it is not one.
std::int64_t checked_step(const std::string& folder) {
  if (!verify_files(folder, {"trainer_state.json"})) {
    throw InputError({"checkpoint without a manifest", "", "manifest.json", folder,
                      "it may be incomplete; use another checkpoint"});
  }
  return read_trainer_state(folder).step;
}

/// Lists the folders of a run that may be checkpoints, among them those that were removed since
/// their names were read; at equal steps the preferred one comes first.
std::vector<std::string> candidates(const std::string& run) {
  std::vector<std::string> folders;
  const auto add = [&](const std::string& path) {
    if (is_folder(path)) folders.push_back(path);
  };
  add(run + "/final");
  const std::string checkpoints = run + "/checkpoints";
  if (!is_folder(checkpoints)) return folders;
  for (const std::string& name : list_folder(checkpoints)) {
    const std::string path = checkpoints + "/" + name;
    const bool gone = kind_of_name(path) == PathKind::kMissing;
    if (step_of(name) >= 0 && (gone || is_folder(path))) folders.push_back(path);
  }
  // If `latest` is a link, it leads to one of those above, and may lead to the next one at any
  // moment.
  const std::string latest = checkpoints + "/" + kLatest;
  if (kind_of_name(latest) == PathKind::kFolder) add(latest);
  return folders;
}

struct Look {
  std::vector<FoundCheckpoint> found;
  std::vector<UnusableCheckpoint> unusable;
  bool missed = false;  // a folder was removed or replaced before it was read
};

Look look_once(const std::string& run) {
  Look look;
  std::vector<FileIdentity> seen;
  for (const std::string& folder : candidates(run)) {
    FileIdentity identity;
    const bool known = identify(folder, &identity);
    if (known && std::find(seen.begin(), seen.end(), identity) != seen.end()) continue;
    seen.push_back(identity);
    try {
      look.found.push_back({folder, checked_step(folder)});
    } catch (const Error& error) {
      FileIdentity now;
      const bool same = known && identify(folder, &now) && now == identity;
      if (same) look.unusable.push_back({folder, error.what()});
      look.missed = look.missed || !same;
    }
  }
  return look;
}

/// Makes room for a link when something else has its name. Returns why that is impossible, or "".
std::string settle_link(const std::string& latest, const std::string& checkpoints) {
  const PathKind kind = kind_of_name(latest);
  if (kind == PathKind::kMissing || kind == PathKind::kLink) return "";
  if (kind == PathKind::kFile) {
    // Some archives turn a link into a file that holds the name.
    if (step_of(read_text_file(latest).substr(0, 40)) >= 0) return remove_tree(latest);
    return latest + ": this file is in the place of a link to the newest checkpoint";
  }
  if (kind != PathKind::kFolder || !exists(latest + "/" + kManifestName)) {
    return latest + ": something that is no checkpoint is in the place of a link to the newest";
  }
  const std::string own = checkpoints + "/" + checkpoint_name(checked_step(latest));
  if (!exists(own) && file_calls().rename(latest.c_str(), own.c_str()) == 0) return "";
  return remove_aside(latest);
}

/// File systems, and the policies of some containers, use these codes to say that they have no
/// links.
bool no_links(int code) {
  return code == EPERM || code == ENOTSUP || code == EOPNOTSUPP || code == EINVAL || code == ENOSYS;
}

std::string update_link(const std::string& checkpoints, const char* link, const std::string& name) {
  const std::string place = checkpoints + "/" + link;
  const auto warning = [&place](int code) {
    return place + ": cannot point to a checkpoint: got " + std::generic_category().message(code) +
           " (resuming does not need it)";
  };
  try {
    std::string kept = settle_link(place, checkpoints);
    if (!kept.empty()) return kept;
    const std::string fresh = checkpoints + "/" + kNextLinkName;
    const FileCalls& calls = file_calls();
    calls.unlink(fresh.c_str());  // left by a crash; a run has one writer, so one name is enough
    if (calls.symlink(name.c_str(), fresh.c_str()) != 0) {
      return no_links(errno) ? "" : warning(errno);
    }
    if (calls.rename(fresh.c_str(), place.c_str()) != 0) {
      const int code = errno;
      calls.unlink(fresh.c_str());
      return warning(code);
    }
    sync_folder(checkpoints);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

std::string checkpoint_name(std::int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "%s%08lld", kPrefix, static_cast<long long>(step));
  return name;
}

std::vector<FoundCheckpoint> find_checkpoints(const std::string& run,
                                              std::vector<UnusableCheckpoint>* unusable) {
  constexpr int kTries = 20;
  Look look = look_once(run);
  // While the run goes on, what was listed may be gone before it is read. Then a newer one may have
  // been missed, or all of them.
  for (int i = 1; i < kTries && look.missed; ++i) {
    Look next = look_once(run);
    if (!next.found.empty() || !next.missed || look.found.empty()) look = std::move(next);
  }
  std::vector<FoundCheckpoint> found = std::move(look.found);
  std::stable_sort(
      found.begin(), found.end(),
      [](const FoundCheckpoint& a, const FoundCheckpoint& b) { return a.step > b.step; });
  if (unusable != nullptr) *unusable = std::move(look.unusable);
  return found;
}

std::string newest_model_folder(const std::string& run) {
  const std::vector<FoundCheckpoint> found = find_checkpoints(run);
  return found.empty() ? "" : found.front().folder;
}

std::string update_latest_link(const std::string& checkpoints, const std::string& name) {
  return update_link(checkpoints, kLatest, name);
}

std::string update_best_link(const std::string& checkpoints, const std::string& name) {
  if (!is_folder(checkpoints + "/" + name)) return "";
  return update_link(checkpoints, "best", name);
}

void set_checkpoint_aside(const std::string& folder) {
  const std::string parent = parent_folder(folder);
  const std::string aside = parent + "/aside-" + file_name(folder);
  if (exists(aside)) remove_tree(aside);
  if (file_calls().rename(folder.c_str(), aside.c_str()) != 0) {
    throw_system_error("cannot set the checkpoint aside", folder, errno);
  }
  sync_folder(parent);
}

PruneResult prune_checkpoints(const std::string& checkpoints, std::int64_t keep,
                              const std::vector<std::string>& protect, std::int64_t saved) {
  PruneResult result;
  try {
    remove_partial_folders(checkpoints);  // what an earlier call could not remove
    std::vector<std::pair<std::int64_t, std::string>> old;
    for (const std::string& name : list_folder(checkpoints)) {
      const std::int64_t step = step_of(name);
      if (step < 0 || step >= saved || kind_of_name(checkpoints + "/" + name) != PathKind::kFolder)
        continue;
      old.emplace_back(step, name);
    }
    std::sort(old.begin(), old.end());
    const std::int64_t surplus = static_cast<std::int64_t>(old.size()) - keep;
    for (std::int64_t i = 0; i < surplus; ++i) {
      const std::string& name = old[static_cast<std::size_t>(i)].second;
      if (std::find(protect.begin(), protect.end(), name) != protect.end()) continue;
      const std::string kept = remove_aside(checkpoints + "/" + name);
      if (kept.empty()) {
        ++result.removed;
      } else {
        result.warnings.push_back("an old checkpoint cannot be removed: " + kept);
      }
    }
  } catch (const Error& error) {
    result.warnings.push_back(std::string("old checkpoints cannot be removed: ") + error.what());
  }
  return result;
}

}  // namespace cllm
