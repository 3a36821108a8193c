#include "cpu/cgroup.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "cpu/cpu_list.h"

namespace cllm {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

/// Returns the first words of a file; none when it cannot be read.
std::vector<std::string> words_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> words;
  for (std::string word; words.size() < 2 && file >> word;) words.push_back(word);
  return words;
}

/// Returns a number, or `otherwise` for "max", "-1", a missing word and anything else that is no
/// limit.
double limit_or(const std::vector<std::string>& words, std::size_t index, double otherwise) {
  if (index >= words.size()) return otherwise;
  std::istringstream text(words[index]);
  double value = 0.0;
  return text >> value && value > 0.0 ? value : otherwise;
}

/// Holds one line of /proc/self/cgroup: "hierarchy:controllers:path".
struct Membership {
  std::string controllers;  // empty: v2
  std::string path;
};

std::vector<Membership> memberships(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::vector<Membership> found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    found.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
  return found;
}

bool lists(const std::string& controllers, const std::string& name) {
  return ("," + controllers + ",").find("," + name + ",") != std::string::npos;
}

/// Calls `look` with each folder from a group up to its mount. A container often sees its host's
/// path, but a mount that starts at its own group; folders that do not exist are ignored.
template <class Look>
void climb(const std::string& mount, std::string path, Look look) {
  while (true) {
    look(mount + path);
    const std::size_t slash = path.find_last_of('/');
    if (path.empty() || slash == std::string::npos) return;
    path.erase(slash);
  }
}

/// Calls `v2` or `v1` with every folder of every group that `controller` is in, from the process's
/// own group upwards.
template <class V2, class V1>
void visit_groups(const std::string& root, const std::string& controller, V2 v2, V1 v1) {
  const std::string mount = root + "/sys/fs/cgroup";
  for (const Membership& group : memberships(root)) {
    if (group.controllers.empty()) {
      climb(mount, group.path, v2);
      climb(mount + "/unified", group.path, v2);
    } else if (lists(group.controllers, controller)) {
      climb(mount + "/" + controller, group.path, v1);
      climb(mount + "/" + group.controllers, group.path, v1);
    }
  }
}

/// Returns the smallest limit over all groups.
template <class V2, class V1>
double tightest(const std::string& root, const std::string& controller, V2 v2, V1 v1) {
  double smallest = kUnlimited;
  visit_groups(
      root, controller,
      [&](const std::string& folder) { smallest = std::min(smallest, v2(folder)); },
      [&](const std::string& folder) { smallest = std::min(smallest, v1(folder)); });
  return smallest;
}

/// Returns the bytes that a group's statistics count as files, or as tables that the kernel can
/// drop.
double reclaimable(const std::string& path, const std::string& prefix) {
  std::ifstream file(path);
  double bytes = 0;
  for (std::string name; file >> name;) {
    double value = 0;
    if (!(file >> value)) break;
    for (const char* counted : {"active_file", "inactive_file", "slab_reclaimable"}) {
      if (name == prefix + counted) bytes += value;
    }
  }
  return bytes;
}

}  // namespace

double cpu_quota(const std::string& root) {
  return tightest(
      root, "cpu",
      [](const std::string& folder) {
        const std::vector<std::string> words = words_of(folder + "/cpu.max");
        return limit_or(words, 0, kUnlimited) / limit_or(words, 1, 100000.0);
      },
      [](const std::string& folder) {
        return limit_or(words_of(folder + "/cpu.cfs_quota_us"), 0, kUnlimited) /
               limit_or(words_of(folder + "/cpu.cfs_period_us"), 0, 100000.0);
      });
}

double cgroup_memory_limit(double own, const std::string& root) {
  const auto left = [own](double limit, const std::string& used, const std::string& statistics,
                          const char* prefix) {
    const double by_others = limit_or(words_of(used), 0, 0) - reclaimable(statistics, prefix) - own;
    return std::max(0.0, limit - std::max(0.0, by_others));
  };
  return tightest(
      root, "memory",
      [&](const std::string& folder) {
        return left(limit_or(words_of(folder + "/memory.max"), 0, kUnlimited),
                    folder + "/memory.current", folder + "/memory.stat", "");
      },
      [&](const std::string& folder) {
        return left(limit_or(words_of(folder + "/memory.limit_in_bytes"), 0, kUnlimited),
                    folder + "/memory.usage_in_bytes", folder + "/memory.stat", "total_");
      });
}

std::vector<int> cgroup_cpus(const std::string& root) {
  // The innermost group that names CPUs decides; its ancestors hold more.
  std::vector<int> cpus;
  const auto keep_first = [&cpus](const std::string& path) {
    if (cpus.empty()) cpus = read_cpu_list(path);
  };
  visit_groups(
      root, "cpuset",
      [&](const std::string& folder) { keep_first(folder + "/cpuset.cpus.effective"); },
      [&](const std::string& folder) {
        keep_first(folder + "/cpuset.effective_cpus");
        keep_first(folder + "/cpuset.cpus");
      });
  return cpus;
}

}  // namespace cllm
