// Core and memory limits are read from recorded /proc and /sys trees, and from this machine.
#include "cpu/allowance.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cmath>
#include <thread>

#include "cpu/cgroup.h"
#include "recorded_machines.h"

namespace cllm {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

const char* const kMemInfo =
    "MemTotal:       65536000 kB\nMemFree:         1000000 kB\nMemAvailable:   33554432 kB";

std::vector<int> first_cpus(int count) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
  return cpus;
}

/// Most workers of a process that may run on the first `cpus` CPUs.
int workers_of(const RecordedTree& tree, int cpus) {
  return read_allowance(first_cpus(cpus), tree.root()).most_workers();
}

TEST(Allowance, NoCgroupMeansNoQuota) {
  RecordedTree tree;
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_EQ(workers_of(tree, 8), 8);
  EXPECT_TRUE(std::isinf(memory_limit_bytes(tree.root())));
  tree.put("proc/meminfo", kMemInfo);
  EXPECT_EQ(memory_limit_bytes(tree.root()), 32.0 * kGiB);
}

TEST(Allowance, VersionTwoQuota) {
  RecordedTree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup", "0::/kube/pod7")
      .put("sys/fs/cgroup/kube/pod7/cpu.max", "150000 100000")
      .put("sys/fs/cgroup/kube/pod7/memory.max", "8589934592");
  EXPECT_EQ(cpu_quota(tree.root()), 1.5);
  EXPECT_EQ(workers_of(tree, 8), 1) << "rounded down";
  EXPECT_EQ(memory_limit_bytes(tree.root()), 8.0 * kGiB);
}

TEST(Allowance, VersionTwoWithoutALimit) {
  RecordedTree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup", "0::/")
      .put("sys/fs/cgroup/cpu.max", "max 100000")
      .put("sys/fs/cgroup/memory.max", "max");
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_EQ(memory_limit_bytes(tree.root()), 32.0 * kGiB);
}

TEST(Allowance, AnAncestorsTighterLimitCounts) {
  RecordedTree tree;
  tree.put("proc/self/cgroup", "0::/slice/job/step")
      .put("sys/fs/cgroup/slice/job/step/cpu.max", "800000 100000")
      .put("sys/fs/cgroup/slice/cpu.max", "50000 100000")
      .put("sys/fs/cgroup/slice/job/memory.max", "1073741824");
  EXPECT_EQ(cpu_quota(tree.root()), 0.5);
  EXPECT_EQ(workers_of(tree, 8), 1) << "never none";
  EXPECT_EQ(memory_limit_bytes(tree.root()), kGiB);
  // 300 MiB used, 100 of them files, 50 our own: others keep 150.
  constexpr double kMiB = 1 << 20;
  tree.put("sys/fs/cgroup/slice/job/memory.current", "314572800")
      .put("sys/fs/cgroup/slice/job/memory.stat",
           "anon 209715200\nactive_file 52428800\ninactive_file 52428800\n")
      .put("proc/self/statm", "100000 25600 12800 1 0 1 0");
  EXPECT_EQ(memory_limit_bytes(tree.root()), kGiB - 150 * kMiB);
}

TEST(Allowance, HostPathInsideAContainerFallsBackToTheMount) {
  RecordedTree tree;
  tree.put("proc/self/cgroup", "0::/docker/0123abc").put("sys/fs/cgroup/cpu.max", "300000 100000");
  EXPECT_EQ(cpu_quota(tree.root()), 3.0);
  EXPECT_EQ(workers_of(tree, 8), 3);
  EXPECT_EQ(workers_of(tree, 2), 2);
}

TEST(Allowance, VersionOneQuota) {
  RecordedTree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup",
           "9:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab")
      .put("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "250000")
      .put("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000")
      .put("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "4294967296")
      .put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(cpu_quota(tree.root()), 2.5);
  EXPECT_EQ(workers_of(tree, 8), 2);
  EXPECT_EQ(memory_limit_bytes(tree.root()), 4.0 * kGiB);
}

TEST(Allowance, VersionOneWithoutALimit) {
  RecordedTree tree;
  tree.put("proc/meminfo", kMemInfo)
      .put("proc/self/cgroup", "4:cpu:/a\n9:memory:/a")
      .put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1")
      .put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000")
      .put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_EQ(memory_limit_bytes(tree.root()), 32.0 * kGiB);
}

TEST(Allowance, DamagedFilesLimitNothing) {
  RecordedTree tree;
  tree.put("proc/self/cgroup", "nonsense\n0::/a\n:")
      .put("sys/fs/cgroup/a/cpu.max", "")
      .put("sys/fs/cgroup/a/memory.max", "lots")
      .put("sys/fs/cgroup/a/cpuset.cpus.effective", "0-x");
  EXPECT_TRUE(std::isinf(cpu_quota(tree.root())));
  EXPECT_TRUE(cgroup_cpus(tree.root()).empty());
  EXPECT_TRUE(std::isinf(memory_limit_bytes(tree.root())));
}

TEST(Allowance, OfTheRecordedMachines) {
  struct Expected {
    int most, physical;
  };
  const Expected expected[] = {{64, 32}, {128, 64}, {20, 14}, {2, 2}, {2, 2}, {1, 1}};
  for (std::size_t m = 0; m < recorded_machines().size(); ++m) {
    const RecordedMachine& machine = recorded_machines()[m];
    RecordedTree tree;
    machine.record(tree);
    const Allowance a = read_allowance(first_cpus(machine.cpus), tree.root());
    EXPECT_EQ(a.most_workers(), expected[m].most) << machine.name;
    EXPECT_EQ(a.physical_workers(), expected[m].physical) << machine.name;
    EXPECT_TRUE(a.whole) << machine.name;
    EXPECT_TRUE(a.cores_are_ours) << machine.name;
    EXPECT_EQ(std::isinf(a.quota), machine.name != "ContainerWithQuota") << machine.name;
  }
}

TEST(Allowance, ACpusetOfWholeCores) {
  RecordedTree tree;
  record_epyc(tree);
  tree.put("sys/fs/cgroup/system.slice/slurmstepd.scope/job_77/cpuset.cpus.effective",
           "8-15,72-79");
  const Allowance a = read_allowance(first_cpus(128), tree.root());
  EXPECT_EQ(a.most_workers(), 16);
  EXPECT_EQ(a.physical_workers(), 8);
  EXPECT_FALSE(a.whole);
  EXPECT_TRUE(a.cores_are_ours);
}

TEST(Allowance, HalfOfTheHyperthreads) {
  RecordedTree tree;
  record_epyc(tree);
  const Allowance a = read_allowance(first_cpus(64), tree.root());
  EXPECT_EQ(a.physical_workers(), 64);
  EXPECT_FALSE(a.whole);
  EXPECT_FALSE(a.cores_are_ours);
}

TEST(Allowance, VersionOneCpuset) {
  RecordedTree tree;
  record_laptop(tree);
  tree.put("proc/self/cgroup", "3:cpuset:/box\n0::/")
      .put("sys/fs/cgroup/cpuset/box/cpuset.cpus", "0-1,12")
      .put("sys/fs/cgroup/cpuset/cpuset.cpus", "0-19");
  EXPECT_EQ(cgroup_cpus(tree.root()), (std::vector<int>{0, 1, 12}));
  EXPECT_EQ(read_allowance(first_cpus(20), tree.root()).physical_workers(), 2);
  tree.put("sys/fs/cgroup/cpuset/box/cpuset.effective_cpus", "12");
  EXPECT_EQ(cgroup_cpus(tree.root()), std::vector<int>{12});
  // Groups and mask that have nothing in common: the kernel's mask is what counts.
  EXPECT_EQ(read_allowance({3}, tree.root()).ids(), std::vector<int>{3});
}

TEST(Allowance, FollowsTheAffinityOfTheCallingThread) {
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

TEST(Allowance, ThisMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(usable_cpus().size()));
  EXPECT_GT(memory_limit_bytes(), 1024.0 * 1024.0);
}

}  // namespace
}  // namespace cllm
