#include "cpu/topology.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "cpu/affinity.h"

namespace cllm {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

/// The first words of a file; none when it cannot be read.
std::vector<std::string> words_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> words;
  for (std::string word; words.size() < 2 && file >> word;) words.push_back(word);
  return words;
}

/// A number, or `otherwise` for "max", "-1", an absent word and anything else that is no limit.
double limit_or(const std::vector<std::string>& words, std::size_t index, double otherwise) {
  if (index >= words.size()) return otherwise;
  std::istringstream text(words[index]);
  double value = 0.0;
  return text >> value && value > 0.0 ? value : otherwise;
}

/// One line of /proc/self/cgroup: "hierarchy:controllers:path".
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

/// The smallest limit on the way from a group up to its mount. A container often sees its host's
/// path but a mount that starts at its own group: folders that are not there limit nothing.
template <class Limit>
double tightest(const std::string& mount, std::string path, Limit limit) {
  double smallest = kUnlimited;
  while (true) {
    smallest = std::min(smallest, limit(mount + path));
    const std::size_t slash = path.find_last_of('/');
    if (path.empty() || slash == std::string::npos) return smallest;
    path.erase(slash);
  }
}

/// The smallest limit over all groups; `v2` and `v1` read one folder.
template <class V2, class V1>
double cgroup_limit(const std::string& root, const std::string& controller, V2 v2, V1 v1) {
  const std::string mount = root + "/sys/fs/cgroup";
  double smallest = kUnlimited;
  for (const Membership& group : memberships(root)) {
    if (group.controllers.empty()) {
      smallest = std::min(smallest, tightest(mount, group.path, v2));
      smallest = std::min(smallest, tightest(mount + "/unified", group.path, v2));
    } else if (lists(group.controllers, controller)) {
      smallest = std::min(smallest, tightest(mount + "/" + controller, group.path, v1));
      smallest = std::min(smallest, tightest(mount + "/" + group.controllers, group.path, v1));
    }
  }
  return smallest;
}

}  // namespace

std::vector<int> usable_cpus() {
  std::vector<int> own = thread_cpus();
  const auto counted = static_cast<std::size_t>(openmp_cpu_count());
  if (counted <= own.size()) return own;
  // libgomp bound this thread. What it had before is known when it was the whole cpuset.
  std::vector<int> all = cpuset_cpus();
  if (all.size() == counted) return all;
  return own;
}

double cpu_quota(const std::string& root) {
  return cgroup_limit(
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

int usable_cores(const std::string& root) {
  const double affinity = static_cast<double>(usable_cpus().size());
  return static_cast<int>(std::max(1.0, std::min(affinity, std::ceil(cpu_quota(root)))));
}

double memory_limit_bytes(const std::string& root) {
  double available = kUnlimited;
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream text(line);
    std::string key;
    double kilobytes = 0.0;
    if (text >> key >> kilobytes && key == "MemAvailable:") available = kilobytes * 1024.0;
  }
  return std::min(available, cgroup_limit(
                                 root, "memory",
                                 [](const std::string& folder) {
                                   return limit_or(words_of(folder + "/memory.max"), 0, kUnlimited);
                                 },
                                 [](const std::string& folder) {
                                   return limit_or(words_of(folder + "/memory.limit_in_bytes"), 0,
                                                   kUnlimited);
                                 }));
}

}  // namespace cllm
