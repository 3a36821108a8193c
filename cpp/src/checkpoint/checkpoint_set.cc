#include "checkpoint/checkpoint_set.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/files.h"
#include "checkpoint/partial_folder.h"
#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "step-";
constexpr const char* kLatest = "latest";

/// Step of a checkpoint's name, -1 when it is none.
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

}  // namespace

std::string checkpoint_name(std::int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "%s%08lld", kPrefix, static_cast<long long>(step));
  return name;
}

void update_latest_link(const std::string& checkpoints, const std::string& name) {
  const fs::path folder = checkpoints;
  const fs::path fresh = folder / ".latest-next";  // one writer per run, so one name will do
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_directory_symlink(name, fresh, error);
  if (!error) fs::rename(fresh, folder / kLatest, error);
  if (error) {
    throw Error({"cannot point to the newest checkpoint", error.message(), "",
                 (folder / kLatest).string(), "the file system must allow symbolic links"});
  }
  sync_folder(checkpoints);
}

int prune_checkpoints(const std::string& checkpoints, std::int64_t keep) {
  const fs::path folder = checkpoints;
  std::error_code none;
  const std::string latest = fs::read_symlink(folder / kLatest, none).filename().string();
  std::vector<std::pair<std::int64_t, fs::path>> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::int64_t step = step_of(name);
    if (step >= 0 && name != latest && entry.is_directory() && !entry.is_symlink()) {
      found.emplace_back(step, entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  int removed = 0;
  const std::int64_t surplus = static_cast<std::int64_t>(found.size()) - keep;
  for (std::int64_t i = 0; i < surplus; ++i) {
    // Renamed first: a folder that is half removed must not look like a checkpoint.
    const fs::path& old = found[static_cast<std::size_t>(i)].second;
    const std::string doomed = partial_name(old.string());
    fs::rename(old, doomed);
    fs::remove_all(doomed);
    ++removed;
  }
  return removed;
}

}  // namespace cllm
