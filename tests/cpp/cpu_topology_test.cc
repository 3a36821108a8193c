// Core and memory limits as read from recorded /proc and /sys trees, and from this machine.
#include <gtest/gtest.h>
#include <sched.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "cpu/topology.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

/// A file tree in a temporary folder, gone with the object.
class Tree {
 public:
  Tree() {
    std::string name = (fs::temp_directory_path() / "cllm-tree-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { fs::remove_all(root_); }

  Tree& put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    return *this;
  }
  std::string root() const { return root_.string(); }

 private:
  fs::path root_;
};

const char* const kMemInfo =
    "MemTotal:       65536000 kB\nMemFree:         1000000 kB\nMemAvailable:   33554432 kB\n";

TEST(Topology, NoCgroupMeansNoQuota) {
  Tree tree;
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_EQ(usable_cores(tree.root()), static_cast<int>(usable_cpus().size()));
  EXPECT_TRUE(std::isinf(memory_limit_bytes(tree.root())));
  tree.put("proc/meminfo", kMemInfo);
  EXPECT_EQ(memory_limit_bytes(tree.root()), 32.0 * kGiB);
}

TEST(Topology, VersionTwoQuota) {
  Tree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup", "0::/kube/pod7\n")
      .put("sys/fs/cgroup/kube/pod7/cpu.max", "150000 100000\n")
      .put("sys/fs/cgroup/kube/pod7/memory.max", "8589934592\n");
  EXPECT_EQ(cpu_quota(tree.root()), 1.5);
  EXPECT_EQ(usable_cores(tree.root()), std::min(2, static_cast<int>(usable_cpus().size())));
  EXPECT_EQ(memory_limit_bytes(tree.root()), 8.0 * kGiB);
}

TEST(Topology, VersionTwoWithoutALimit) {
  Tree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup", "0::/\n")
      .put("sys/fs/cgroup/cpu.max", "max 100000\n")
      .put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_EQ(memory_limit_bytes(tree.root()), 32.0 * kGiB);
}

TEST(Topology, AnAncestorsTighterLimitCounts) {
  Tree tree;
  tree.put("proc/self/cgroup", "0::/slice/job/step\n")
      .put("sys/fs/cgroup/slice/job/step/cpu.max", "800000 100000\n")
      .put("sys/fs/cgroup/slice/cpu.max", "50000 100000\n")
      .put("sys/fs/cgroup/slice/job/memory.max", "1073741824\n");
  EXPECT_EQ(cpu_quota(tree.root()), 0.5);
  EXPECT_EQ(usable_cores(tree.root()), 1);
  EXPECT_EQ(memory_limit_bytes(tree.root()), kGiB);
}

TEST(Topology, HostPathInsideAContainerFallsBackToTheMount) {
  Tree tree;
  tree.put("proc/self/cgroup", "0::/docker/0123abc\n")
      .put("sys/fs/cgroup/cpu.max", "300000 100000");
  EXPECT_EQ(cpu_quota(tree.root()), 3.0);
}

TEST(Topology, VersionOneQuota) {
  Tree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup",
           "9:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n")
      .put("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "250000\n")
      .put("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n")
      .put("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "4294967296\n")
      .put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(cpu_quota(tree.root()), 2.5);
  EXPECT_EQ(memory_limit_bytes(tree.root()), 4.0 * kGiB);
}

TEST(Topology, VersionOneWithoutALimit) {
  Tree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup", "4:cpu:/a\n9:memory:/a\n")
      .put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n")
      .put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
      .put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_EQ(memory_limit_bytes(tree.root()), 32.0 * kGiB);
}

TEST(Topology, DamagedFilesLimitNothing) {
  Tree tree;
  tree.put("proc/self/cgroup", "nonsense\n0::/a\n:\n")
      .put("sys/fs/cgroup/a/cpu.max", "")
      .put("sys/fs/cgroup/a/memory.max", "lots");
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_TRUE(std::isinf(memory_limit_bytes(tree.root())));
}

TEST(Topology, FollowsTheAffinityOfTheCallingThread) {
  const std::vector<int> all = usable_cpus();
  ASSERT_FALSE(all.empty());
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(all.back(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(usable_cpus(), std::vector<int>{all.back()});
    EXPECT_EQ(usable_cores(), 1);
  }).join();
  EXPECT_EQ(usable_cpus(), all);
}

TEST(Topology, ThisMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(usable_cpus().size()));
  EXPECT_GT(memory_limit_bytes(), 1024.0 * 1024.0);
}

}  // namespace
}  // namespace cllm
