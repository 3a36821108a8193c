#include "cpu/topology.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "cpu/cpu_list.h"

namespace cllm {
namespace {

/// Returns the number in a file's first line; -1 when there is none or it is negative.
long read_number(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  long value = -1;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
  return read.ec == std::errc() ? std::max(value, -1L) : -1;
}

bool holds(const std::vector<int>& cpus, int cpu) {
  return std::binary_search(cpus.begin(), cpus.end(), cpu);
}

/// Names a set of CPUs that share something by the lowest of them; `otherwise` when the file does
/// not name a set that `cpu` is in.
int representative(const std::string& path, int cpu, int otherwise) {
  const std::vector<int> sharing = read_cpu_list(path);
  return holds(sharing, cpu) ? sharing.front() : otherwise;
}

/// Names the CPUs that share the last level of cache with `cpu` by their lowest; -1 when unknown.
int cache_of(const std::string& folder, int cpu) {
  constexpr int kMostCaches = 5;  // data and instructions of the first level, then 2, 3 and 4
  long best = 1;                  // a first level is the core's own
  int shared = -1;
  for (int i = 0; i < kMostCaches; ++i) {
    const std::string cache = folder + "/cache/index" + std::to_string(i);
    const long level = read_number(cache + "/level");
    if (level <= best) continue;
    const int lowest = representative(cache + "/shared_cpu_list", cpu, -1);
    if (lowest < 0) continue;
    best = level;
    shared = lowest;
  }
  return shared;
}

/// Returns the memory node of each CPU that some node names.
std::map<int, int> read_nodes(const std::string& root) {
  std::map<int, int> node_of;
  std::error_code failed;
  const std::filesystem::directory_iterator folders(root + "/sys/devices/system/node", failed);
  if (failed) return node_of;
  for (const auto& entry : folders) {
    const std::string name = entry.path().filename().string();
    int node = -1;
    if (name.rfind("node", 0) != 0) continue;
    const auto read = std::from_chars(name.data() + 4, name.data() + name.size(), node);
    if (read.ec != std::errc() || read.ptr != name.data() + name.size()) continue;
    for (int cpu : read_cpu_list(entry.path().string() + "/cpulist")) node_of[cpu] = node;
  }
  return node_of;
}

/// Returns one number for each CPU that tells kinds of cores apart; larger is faster. All are 0
/// when no source covers every CPU.
std::vector<long> read_speeds(const std::string& root, const std::vector<int>& cpus) {
  std::vector<long> speeds(cpus.size(), 0);
  // Hybrid Intel chips list their kinds of cores as devices that count events.
  const std::array<const char*, 3> kinds = {"cpu_lowpower", "cpu_atom", "cpu_core"};
  std::size_t named = 0;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    for (int cpu : read_cpu_list(root + "/sys/devices/" + kinds[k] + "/cpus")) {
      const auto at = std::lower_bound(cpus.begin(), cpus.end(), cpu);
      if (at == cpus.end() || *at != cpu) continue;
      speeds[static_cast<std::size_t>(at - cpus.begin())] = 1L << (4 * k);
      ++named;
    }
  }
  if (named == cpus.size()) return speeds;
  for (const char* file :
       {"/cpu_capacity", "/cpufreq/base_frequency", "/cpufreq/cpuinfo_max_freq"}) {
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      const std::string cpu = "/sys/devices/system/cpu/cpu" + std::to_string(cpus[i]);
      speeds[i] = read_number(root + cpu + file);
    }
    if (*std::min_element(speeds.begin(), speeds.end()) > 0) return speeds;
  }
  return std::vector<long>(cpus.size(), 0);
}

/// Turns speeds into kinds of cores. Single cores of one kind may differ by a tenth (preferred
/// cores of a chip that boosts some of them higher); kinds of cores differ by a quarter and more.
std::vector<int> kinds_of(const std::vector<long>& speeds) {
  std::vector<long> sorted = speeds;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  std::vector<long> fastest;  // of each kind
  for (long speed : sorted) {
    if (fastest.empty() || 100 * speed < 85 * fastest.back()) fastest.push_back(speed);
  }
  std::vector<int> kinds;
  for (long speed : speeds) {
    int kind = 0;
    while (100 * speed < 85 * fastest[static_cast<std::size_t>(kind)]) ++kind;
    kinds.push_back(kind);
  }
  return kinds;
}

/// Numbers keys 0, 1, ... in the order in which they come.
template <class Key>
class Numbering {
 public:
  int operator()(const Key& key) {
    return numbers_.emplace(key, static_cast<int>(numbers_.size())).first->second;
  }

 private:
  std::map<Key, int> numbers_;
};

void number_threads(Topology& topology) {
  Numbering<int> core;
  std::map<int, int> threads;
  for (LogicalCpu& cpu : topology) {
    cpu.core = core(cpu.core);
    cpu.thread = threads[cpu.core]++;
  }
}

}  // namespace

Topology read_topology(const std::string& root) {
  const std::string folder = root + "/sys/devices/system/cpu";
  const std::vector<int> online = read_cpu_list(folder + "/online");
  if (online.empty()) return {};
  const std::map<int, int> nodes = read_nodes(root);
  const std::vector<int> kinds = kinds_of(read_speeds(root, online));
  // A domain's key contains the domains around it, so that each domain lies in one of the next
  // size.
  Numbering<int> core;
  Numbering<long> package;
  Numbering<std::pair<int, int>> node;
  Numbering<std::tuple<int, int, int>> cache;
  Topology topology;
  for (std::size_t i = 0; i < online.size(); ++i) {
    const int id = online[i];
    const std::string cpu = folder + "/cpu" + std::to_string(id);
    const std::string about = cpu + "/topology";
    LogicalCpu c;
    c.id = id;
    const int siblings = representative(about + "/thread_siblings_list", id, id);
    c.core = core(representative(about + "/core_cpus_list", id, siblings));
    c.package = package(read_number(about + "/physical_package_id"));
    const auto at = nodes.find(id);
    c.node = node({c.package, at == nodes.end() ? -1 : at->second});
    c.cache = cache({c.package, c.node, cache_of(cpu, id)});
    c.speed = kinds[i];
    topology.push_back(c);
  }
  number_threads(topology);
  return topology;
}

Topology restrict_topology(const Topology& topology, const std::vector<int>& cpus) {
  Topology part;
  int next_core = count_cores(topology);
  for (int id : cpus) {
    const auto at = std::lower_bound(topology.begin(), topology.end(), id,
                                     [](const LogicalCpu& c, int wanted) { return c.id < wanted; });
    LogicalCpu c;
    if (at != topology.end() && at->id == id) {
      c = *at;
    } else {
      c.id = id;
      c.core = next_core++;
    }
    part.push_back(c);
  }
  number_threads(part);
  return part;
}

int count_nodes(const Topology& topology) {
  std::set<int> nodes;
  for (const LogicalCpu& cpu : topology) nodes.insert(cpu.node);
  return static_cast<int>(nodes.size());
}

int count_cores(const Topology& topology) {
  return static_cast<int>(std::count_if(topology.begin(), topology.end(),
                                        [](const LogicalCpu& c) { return c.thread == 0; }));
}

}  // namespace cllm
