// The files of /sys and /proc that tell six machines apart are written into a temporary folder.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace cllm {

/// Holds a file tree below a temporary folder. Values end with a newline, as the kernel writes
/// them.
class RecordedTree {
 public:
  RecordedTree& put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
    return *this;
  }
  /// Writes one file for every CPU below /sys/devices/system/cpu/cpuN/.
  RecordedTree& each(int cpus, const std::string& path,
                     const std::function<std::string(int)>& text) {
    for (int cpu = 0; cpu < cpus; ++cpu) {
      put("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/" + path, text(cpu));
    }
    return *this;
  }
  RecordedTree& remove(const std::string& path) {
    std::filesystem::remove_all(folder_ / path);
    return *this;
  }
  const std::string& root() const { return folder_.path(); }

 private:
  /// Returns a place in memory where the system has one, because a machine has a thousand files.
  static std::filesystem::path parent() {
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
  }

  const TemporaryFolder folder_{parent()};
};

struct RecordedMachine {
  std::string name;
  int cpus;
  int cores;
  void (*record)(RecordedTree&);
};

inline std::string text(int n) { return std::to_string(n); }
inline std::string range(int low, int high) { return text(low) + "-" + text(high); }

/// Writes what every machine says of a CPU: where it is and with whom it shares its caches.
inline void put_cpus(RecordedTree& tree, int cpus, const std::function<int(int)>& package,
                     const std::function<int(int)>& core_id,
                     const std::function<std::string(int)>& siblings,
                     const std::function<std::string(int)>& last_cache) {
  tree.put("sys/devices/system/cpu/online", cpus == 1 ? "0" : range(0, cpus - 1));
  tree.each(cpus, "topology/physical_package_id", [&](int c) { return text(package(c)); });
  tree.each(cpus, "topology/core_id", [&](int c) { return text(core_id(c)); });
  tree.each(cpus, "topology/thread_siblings_list", siblings);
  tree.each(cpus, "cache/index0/level", [](int) { return "1"; });
  tree.each(cpus, "cache/index0/shared_cpu_list", siblings);
  tree.each(cpus, "cache/index3/level", [](int) { return "3"; });
  tree.each(cpus, "cache/index3/shared_cpu_list", last_cache);
}

/// This machine has 2 x 16 cores with hyperthreads. The firmware deals CPUs to the sockets in turn,
/// and the numbers of cores have gaps. One core of each socket boosts higher than the others.
inline void record_xeon(RecordedTree& tree) {
  const auto list = [](int socket) {
    std::string all;
    for (int c = socket; c < 64; c += 2) all += (all.empty() ? "" : ",") + text(c);
    return all;
  };
  put_cpus(
      tree, 64, [](int c) { return c % 2; },
      [](int c) { return (c % 32 / 2) + (c % 32 / 2 >= 8 ? 8 : 0); },
      [](int c) { return text(c % 32) + "," + text(c % 32 + 32); },
      [&](int c) { return list(c % 2); });
  tree.each(64, "cpufreq/cpuinfo_max_freq",
            [](int c) { return c % 32 < 2 ? "3900000" : "3700000"; });
  tree.put("sys/devices/system/node/online", "0-1");
  tree.put("sys/devices/system/node/node0/cpulist", list(0));
  tree.put("sys/devices/system/node/node1/cpulist", list(1));
  tree.put("proc/self/cgroup", "0::/user.slice/user-1000.slice/session-3.scope");
  tree.put("sys/fs/cgroup/user.slice/cpu.max", "max 100000");
  tree.put("sys/fs/cgroup/cpuset.cpus.effective", "0-63");
}

/// This machine has 2 x 32 cores with hyperthreads, a cache for every 4 cores, 4 memory nodes a
/// socket.
inline void record_epyc(RecordedTree& tree) {
  const auto around = [](int c, int size) {
    const int low = c % 64 / size * size;
    return range(low, low + size - 1) + "," + range(low + 64, low + 64 + size - 1);
  };
  put_cpus(
      tree, 128, [](int c) { return c % 64 / 32; }, [](int c) { return c % 32; },
      [](int c) { return text(c % 64) + "," + text(c % 64 + 64); },
      [&](int c) { return around(c, 4); });
  tree.each(128, "cpufreq/cpuinfo_max_freq", [](int) { return "3731250"; });
  for (int node = 0; node < 8; ++node) {
    tree.put("sys/devices/system/node/node" + text(node) + "/cpulist", around(8 * node, 8));
  }
  tree.put("sys/devices/system/node/node8/cpulist", "");  // memory without CPUs
  tree.put("proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_77/step_0");
}

/// This machine has 6 fast cores with hyperthreads, and 8 slow ones of which four share a cache
/// below the common one.
inline void record_laptop(RecordedTree& tree) {
  const auto siblings = [](int c) { return c < 12 ? range(c / 2 * 2, c / 2 * 2 + 1) : text(c); };
  put_cpus(
      tree, 20, [](int) { return 0; }, [](int c) { return c < 12 ? c / 2 * 4 : c + 12; }, siblings,
      [](int) { return range(0, 19); });
  tree.each(20, "cache/index2/level", [](int) { return "2"; });
  tree.each(20, "cache/index2/shared_cpu_list",
            [&](int c) { return c < 12 ? siblings(c) : range(c / 4 * 4, c / 4 * 4 + 3); });
  tree.put("sys/devices/cpu_core/cpus", "0-11");
  tree.put("sys/devices/cpu_atom/cpus", "12-19");
  tree.each(20, "cpufreq/base_frequency", [](int c) { return c < 12 ? "2300000" : "1700000"; });
  tree.each(20, "cpufreq/cpuinfo_max_freq", [](int c) { return c < 12 ? "4700000" : "3500000"; });
  tree.put("sys/devices/system/node/node0/cpulist", "0-19");
  tree.put("proc/self/cgroup", "0::/user.slice/user-1000.slice/user@1000.service/app.slice");
  tree.put("sys/fs/cgroup/user.slice/cpuset.cpus.effective", "0-19");
}

/// This container has 2.5 cores on a host of 8 cores with hyperthreads, seen through a mount of its
/// own and the host's path.
inline void record_container(RecordedTree& tree) {
  put_cpus(
      tree, 16, [](int) { return 0; }, [](int c) { return c / 2; },
      [](int c) { return range(c / 2 * 2, c / 2 * 2 + 1); }, [](int) { return range(0, 15); });
  tree.put("sys/devices/system/node/node0/cpulist", "0-15");
  tree.put("proc/self/cgroup",
           "0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-1f.scope");
  tree.put("sys/fs/cgroup/cpu.max", "250000 100000");
  tree.put("sys/fs/cgroup/cpuset.cpus.effective", "0-15");
  tree.put("sys/fs/cgroup/memory.max", "4294967296");
}

/// This machine has two virtual CPUs that the hypervisor shows as cores, and groups of both
/// versions.
inline void record_cloud(RecordedTree& tree) {
  put_cpus(
      tree, 2, [](int) { return 0; }, [](int c) { return c; }, [](int c) { return text(c); },
      [](int) { return range(0, 1); });
  tree.each(2, "topology/core_cpus_list", [](int c) { return text(c); });
  tree.each(2, "cpu_capacity", [](int) { return "1024"; });
  tree.put("sys/devices/system/node/node0/cpulist", "0-1");
  tree.put("proc/self/cgroup", "9:name=systemd:/\n4:memory:/run/7c\n3:cpuset:/\n1:cpu:/\n0::/");
  tree.put("sys/fs/cgroup/cpuset/cpuset.cpus", "0-1");
  tree.put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  tree.put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
}

/// This machine has one CPU and a kernel that says little: no caches beyond the first, no memory
/// nodes.
inline void record_single(RecordedTree& tree) {
  put_cpus(
      tree, 1, [](int) { return 0; }, [](int) { return 0; }, [](int) { return "0"; },
      [](int) { return "0"; });
  tree.remove("sys/devices/system/cpu/cpu0/cache/index3");
}

inline const std::vector<RecordedMachine>& recorded_machines() {
  static const std::vector<RecordedMachine> all = {
      {"TwoSocketXeon", 64, 32, record_xeon},  {"EpycFourNodes", 128, 64, record_epyc},
      {"HybridLaptop", 20, 14, record_laptop}, {"ContainerWithQuota", 16, 8, record_container},
      {"TwoCoreCloud", 2, 2, record_cloud},    {"OneCpu", 1, 1, record_single}};
  return all;
}

}  // namespace cllm
