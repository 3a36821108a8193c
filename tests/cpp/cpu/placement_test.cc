// The placement of workers keeps its rules on every machine; these tests check six recorded and
// many random ones.
#include "cpu/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/rng.h"
#include "recorded_machines.h"

namespace cllm {
namespace {

TreePlan tree_of(int workers) { return plan_tree(threads_for_workers(workers)); }

const LogicalCpu& cpu_of(const Topology& cpus, int id) {
  return *std::find_if(cpus.begin(), cpus.end(), [&](const LogicalCpu& c) { return c.id == id; });
}

/// The ids of the CPUs of each family of workers, left to right.
std::vector<std::vector<int>> families(const TreePlan& plan, const std::vector<int>& places) {
  std::map<int, std::vector<int>> by_parent;
  for (std::size_t w = 0; w < places.size(); ++w) {
    const int parent = plan.spheres[static_cast<std::size_t>(plan.workers[w])].parent;
    by_parent[parent].push_back(places[w]);
  }
  std::vector<std::vector<int>> all;
  for (auto& family : by_parent) all.push_back(std::move(family.second));
  return all;
}

/// Each worker has a CPU of its own while there are any.
void expect_own_cpus(const Topology& cpus, const std::vector<int>& places) {
  std::set<int> known, used;
  for (const LogicalCpu& c : cpus) known.insert(c.id);
  for (int id : places) {
    if (id >= 0) {
      EXPECT_TRUE(known.count(id) == 1) << id;
      EXPECT_TRUE(used.insert(id).second) << "CPU " << id << " twice";
    }
  }
  EXPECT_EQ(used.size(), std::min(cpus.size(), places.size()));
}

/// No CPU is used while a better one is free: hyperthreads count more than the kind of core.
void expect_best_first(const Topology& cpus, const std::vector<int>& places) {
  std::pair<int, int> worst_used = {0, 0}, best_free = {99, 99};
  for (const LogicalCpu& c : cpus) {
    const std::pair<int, int> rank = {c.thread, c.speed};
    if (std::count(places.begin(), places.end(), c.id) > 0) {
      worst_used = std::max(worst_used, rank);
    } else {
      best_free = std::min(best_free, rank);
    }
  }
  EXPECT_LE(worst_used, best_free);
}

/// Siblings that are spread over several domains had no choice: none has room for them all now,
/// and room only shrinks. REQUIRES: one kind of core, no second hyperthread in use.
void expect_together(const Topology& cpus, const TreePlan& plan, const std::vector<int>& places) {
  for (int LogicalCpu::* domain : {&LogicalCpu::cache, &LogicalCpu::node, &LogicalCpu::package}) {
    std::map<int, std::size_t> room;
    for (const LogicalCpu& c : cpus) {
      if (c.thread == 0 && std::count(places.begin(), places.end(), c.id) == 0) ++room[c.*domain];
    }
    for (const std::vector<int>& family : families(plan, places)) {
      std::set<int> in;
      for (int id : family) in.insert(cpu_of(cpus, id).*domain);
      if (in.size() == 1) continue;
      for (const auto& [where, free] : room) EXPECT_LT(free, family.size()) << "domain " << where;
    }
  }
}

void expect_sound(const Topology& cpus, int workers) {
  const TreePlan plan = tree_of(workers);
  const std::vector<int> places = place(cpus, plan, workers);
  ASSERT_EQ(places.size(), static_cast<std::size_t>(workers));
  expect_own_cpus(cpus, places);
  expect_best_first(cpus, places);
  const bool one_kind =
      std::all_of(cpus.begin(), cpus.end(), [](const LogicalCpu& c) { return c.speed == 0; });
  if (one_kind && workers <= count_cores(cpus)) expect_together(cpus, plan, places);
  EXPECT_EQ(place(cpus, plan, workers), places) << "a pure function";
}

Topology machine(void (*record)(RecordedTree&)) {
  RecordedTree tree;
  record(tree);
  return read_topology(tree.root());
}

TEST(Placement, SoundOnTheRecordedMachines) {
  for (const RecordedMachine& m : recorded_machines()) {
    SCOPED_TRACE(m.name);
    const Topology cpus = machine(m.record);
    for (int workers = 1; workers <= m.cpus + 3; ++workers) {
      expect_sound(cpus, workers);
      if (HasFailure()) FAIL() << workers << " workers";
    }
  }
}

/// Up to 3 sockets of up to 4 nodes of up to 3 caches of up to 6 cores; sometimes hyperthreads,
/// slow cores, CPUs that are not ours.
Topology random_machine(std::uint32_t number) {
  std::uint64_t turn = 0;
  const auto below = [&](std::uint64_t n) {
    return static_cast<int>(
        uniform_below(random_bits64(random_block(9, RandomStream::kTest, number, turn++), 0), n));
  };
  Topology cpus;
  const int packages = 1 + below(3), nodes = 1 + below(4), caches = 1 + below(3);
  const bool threads = below(2) == 1, hybrid = below(3) == 0;
  int core = 0, node = 0, cache = 0;
  for (int p = 0; p < packages; ++p) {
    for (int n = 0; n < nodes; ++n, ++node) {
      for (int l = 0; l < caches; ++l, ++cache) {
        for (int left = 1 + below(6); left > 0; --left, ++core) {
          const int speed = hybrid ? below(2) : 0;
          cpus.push_back({2 * core, core, 0, cache, node, p, speed});
          if (threads) cpus.push_back({2 * core + 1, core, 1, cache, node, p, speed});
        }
      }
    }
  }
  std::vector<int> ours;
  const int kept = 3 + below(8);  // in ten
  for (const LogicalCpu& c : cpus) {
    if (below(10) < kept) ours.push_back(c.id);
  }
  if (ours.empty()) ours.push_back(cpus.front().id);
  return restrict_topology(cpus, ours);
}

TEST(Placement, SoundOnRandomMachines) {
  for (std::uint32_t number = 0; number < 300; ++number) {
    const Topology cpus = random_machine(number);
    const int most = static_cast<int>(cpus.size());
    for (int workers : {1, 2, 3, most / 3 + 1, count_cores(cpus), most, most + 2}) {
      expect_sound(cpus, workers);
      if (HasFailure()) FAIL() << "machine " << number << ", " << workers << " workers";
    }
  }
}

std::set<int> domains(const Topology& cpus, const std::vector<int>& ids, int LogicalCpu::* domain) {
  std::set<int> in;
  for (int id : ids) in.insert(cpu_of(cpus, id).*domain);
  return in;
}

// 7 controls with 4 or 5 workers each on caches of 4 cores: not every family fits one, all fit a
// node of 8 cores.
TEST(Placement, FamiliesOfAnEpycKeepToTheirNode) {
  const Topology cpus = machine(record_epyc);
  const TreePlan plan = tree_of(32);
  const std::vector<int> places = place(cpus, plan, 32);
  const std::vector<std::vector<int>> all = families(plan, places);
  for (const std::vector<int>& family : all) {
    EXPECT_EQ(domains(cpus, family, &LogicalCpu::node).size(), 1u);
    EXPECT_LE(domains(cpus, family, &LogicalCpu::cache).size(), 2u);
  }
  EXPECT_EQ(domains(cpus, places, &LogicalCpu::node).size(), all.size())
      << "spread over the memory";
}

TEST(Placement, FourWorkersShareACache) {
  const Topology cpus = machine(record_epyc);
  const std::vector<int> places = place(cpus, tree_of(4), 4);
  EXPECT_EQ(domains(cpus, places, &LogicalCpu::cache).size(), 1u);
}

TEST(Placement, ALaptopUsesItsFastCoresFirst) {
  const Topology cpus = machine(record_laptop);
  std::vector<int> six = place(cpus, tree_of(6), 6);
  std::sort(six.begin(), six.end());
  EXPECT_EQ(six, (std::vector<int>{0, 2, 4, 6, 8, 10}));
  std::vector<int> all = place(cpus, tree_of(14), 14);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (std::vector<int>{0, 2, 4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 19}));
}

Allowance allowance_of(void (*record)(RecordedTree&), const std::vector<int>& cpus) {
  RecordedTree tree;
  record(tree);
  return read_allowance(cpus, tree.root());
}

std::vector<int> counted(int low, int high) {
  std::vector<int> all;
  for (int i = low; i <= high; ++i) all.push_back(i);
  return all;
}

std::string placement_text(const Allowance& a, int workers) {
  const Placement p = plan_placement(a, tree_of(workers), workers);
  EXPECT_EQ(p.worker_cpus.empty(), p.text != "pinned") << p.text;
  return p.text;
}

TEST(Placement, PinsOnlyWhoOwnsHisCores) {
  const Allowance cloud = allowance_of(record_cloud, counted(0, 1));
  EXPECT_EQ(placement_text(cloud, 2), "pinned");
  EXPECT_EQ(placement_text(cloud, 1), "not pinned: one worker, the calling thread");
  EXPECT_EQ(placement_text(cloud, 3), "not pinned: more workers than cores");

  const Allowance xeon = allowance_of(record_xeon, counted(0, 63));
  EXPECT_EQ(placement_text(xeon, 32), "pinned");
  EXPECT_EQ(placement_text(xeon, 64), "pinned");
  EXPECT_EQ(placement_text(xeon, 31), "not pinned: fewer workers than cores");

  EXPECT_EQ(placement_text(allowance_of(record_container, counted(0, 15)), 2),
            "not pinned: a quota shares these cores");
  EXPECT_EQ(placement_text(allowance_of(record_xeon, counted(0, 31)), 32),
            "not pinned: other hyperthreads of these cores are not ours");
  std::vector<int> own = counted(8, 15);
  for (int cpu : counted(72, 79)) own.push_back(cpu);
  EXPECT_EQ(placement_text(allowance_of(record_epyc, own), 8), "pinned");
}

}  // namespace
}  // namespace cllm
