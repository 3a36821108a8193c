// CPUs, cores, caches and memory nodes are read from the recorded trees of six machines.
#include "cpu/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"
#include "cpu/cpu_list.h"
#include "recorded_machines.h"

namespace cllm {
namespace {

int count_distinct(const Topology& topology, int LogicalCpu::* member) {
  std::set<int> seen;
  for (const LogicalCpu& cpu : topology) seen.insert(cpu.*member);
  return static_cast<int>(seen.size());
}

TEST(CpuList, Reads) {
  EXPECT_EQ(parse_cpu_list("0-3,8,10-11\n"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list(" 5 "), std::vector<int>{5});
  EXPECT_EQ(parse_cpu_list("4,2,4-5"), (std::vector<int>{2, 4, 5}));
}

TEST(CpuList, RefusesWhatIsDamaged) {
  for (const char* text : {"", "\n", "x", "1-", "-1", "3-1", "1,,2", "1,", "0-3x", "1 2",
                           "0-9999999", "99999999999999999999"}) {
    EXPECT_TRUE(parse_cpu_list(text).empty()) << '"' << text << '"';
  }
  EXPECT_TRUE(read_cpu_list("/nowhere/at/all").empty());
}

struct Shape {
  int cores, caches, nodes, packages, speeds;
};

TEST(Topology, OfTheRecordedMachines) {
  const Shape expected[] = {{32, 2, 2, 2, 1}, {64, 16, 8, 2, 1}, {14, 1, 1, 1, 2},
                            {8, 1, 1, 1, 1},  {2, 1, 1, 1, 1},   {1, 1, 1, 1, 1}};
  ASSERT_EQ(recorded_machines().size(), std::size(expected));
  for (std::size_t m = 0; m < std::size(expected); ++m) {
    const RecordedMachine& machine = recorded_machines()[m];
    RecordedTree tree;
    machine.record(tree);
    const Topology found = read_topology(tree.root());
    ASSERT_EQ(found.size(), static_cast<std::size_t>(machine.cpus)) << machine.name;
    EXPECT_EQ(count_cores(found), expected[m].cores) << machine.name;
    EXPECT_EQ(count_distinct(found, &LogicalCpu::core), expected[m].cores) << machine.name;
    EXPECT_EQ(count_distinct(found, &LogicalCpu::cache), expected[m].caches) << machine.name;
    EXPECT_EQ(count_nodes(found), expected[m].nodes) << machine.name;
    EXPECT_EQ(count_distinct(found, &LogicalCpu::package), expected[m].packages) << machine.name;
    EXPECT_EQ(count_distinct(found, &LogicalCpu::speed), expected[m].speeds) << machine.name;
  }
}

TEST(Topology, KnowsWhoIsWhere) {
  RecordedTree xeon, epyc, laptop;
  record_xeon(xeon);
  record_epyc(epyc);
  record_laptop(laptop);
  const Topology x = read_topology(xeon.root());
  EXPECT_EQ(x[3].core, x[35].core);
  EXPECT_EQ(x[3].thread, 0);
  EXPECT_EQ(x[35].thread, 1);
  EXPECT_EQ(x[0].node, x[62].node);
  EXPECT_NE(x[0].node, x[1].node);
  const Topology e = read_topology(epyc.root());
  EXPECT_EQ(e[0].cache, e[3].cache);
  EXPECT_NE(e[3].cache, e[4].cache);
  EXPECT_EQ(e[3].node, e[4].node);
  EXPECT_NE(e[7].node, e[8].node);
  EXPECT_EQ(e[31].package, e[96 - 1].package);
  EXPECT_NE(e[31].package, e[32].package);
  const Topology l = read_topology(laptop.root());
  EXPECT_EQ(l[0].speed, 0);
  EXPECT_EQ(l[11].speed, 0);
  EXPECT_EQ(l[12].speed, 1);
  EXPECT_EQ(l[12].thread, 0);
}

// Without the lists of kinds the frequencies tell them; a boost of a tenth is no other kind.
TEST(Topology, TellsKindsOfCoresByTheirFrequency) {
  RecordedTree laptop;
  record_laptop(laptop);
  laptop.remove("sys/devices/cpu_core").remove("sys/devices/cpu_atom");
  EXPECT_EQ(read_topology(laptop.root())[12].speed, 1);
  laptop.put("sys/devices/system/cpu/cpu5/cpufreq/base_frequency", "?");  // the next file counts
  EXPECT_EQ(read_topology(laptop.root())[12].speed, 1);
  laptop.each(20, "cpufreq/cpuinfo_max_freq", [](int c) { return c < 2 ? "5000000" : "4600000"; });
  for (const LogicalCpu& cpu : read_topology(laptop.root())) EXPECT_EQ(cpu.speed, 0) << cpu.id;
}

TEST(Topology, WithoutAnyFileNothingIsKnown) {
  const RecordedTree empty;
  EXPECT_TRUE(read_topology(empty.root()).empty());
  const Topology assumed = restrict_topology({}, {2, 5});
  ASSERT_EQ(assumed.size(), 2u);
  EXPECT_EQ(assumed[1].id, 5);
  EXPECT_EQ(count_cores(assumed), 2) << "each a core of its own";
}

TEST(Topology, OfAPart) {
  RecordedTree epyc;
  record_epyc(epyc);
  const Topology part = restrict_topology(read_topology(epyc.root()), {65, 66, 70, 400});
  ASSERT_EQ(part.size(), 4u);
  EXPECT_EQ(count_cores(part), 4) << "second hyperthreads alone are first ones";
  EXPECT_EQ(part[0].cache, part[1].cache);
  EXPECT_NE(part[0].cache, part[2].cache);
  EXPECT_EQ(part[3].id, 400);
}

TEST(Topology, DamageLeavesAUsableAnswer) {
  for (const RecordedMachine& machine : recorded_machines()) {
    if (machine.cpus > 20) continue;  // the same code on more files
    RecordedTree whole;
    machine.record(whole);
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(whole.root())) {
      if (entry.is_regular_file()) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    for (std::uint64_t round = 0; round < 40; ++round) {
      RecordedTree tree;
      machine.record(tree);
      for (std::size_t f = 0; f < files.size(); ++f) {
        const auto block =
            random_block(5, RandomStream::kTest, static_cast<std::uint32_t>(round), f);
        const std::string path = files[f].substr(whole.root().size() + 1);
        const char* const damaged[] = {"", "x", "-1", "0-", "99999999999", "7,3-1", "\xff\xfe"};
        const std::uint64_t choice = random_bits64(block, 0) % 20;
        if (path.find("cpu/online") != std::string::npos) continue;
        if (choice < std::size(damaged)) tree.put(path, damaged[choice]);
        if (choice == 19) tree.remove(path);
      }
      const Topology found = read_topology(tree.root());
      ASSERT_EQ(found.size(), static_cast<std::size_t>(machine.cpus));
      EXPECT_GE(count_cores(found), 1);
      for (const LogicalCpu& cpu : found) {
        EXPECT_TRUE(cpu.core >= 0 && cpu.cache >= 0 && cpu.node >= 0 && cpu.package >= 0);
      }
    }
  }
}

}  // namespace
}  // namespace cllm
