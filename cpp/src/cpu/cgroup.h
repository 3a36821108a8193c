// What the control groups, v1 and v2, leave of the machine to this process.
//
// A container sees every CPU and all memory of its host; what it was given stands in the cgroup
// files. They are read below `root`, "/" but for tests; what is missing or damaged limits nothing.
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// CPU time per second that the groups (ancestors included) grant, in cores such as 1.5; infinity
/// when nothing limits it.
double cpu_quota(const std::string& root = "/");

/// Bytes of memory for a process that has `own` of them already: limits without what others of the
/// same groups use, except files, which are given back when memory is short. Infinity when nothing
/// limits it.
double cgroup_memory_limit(double own, const std::string& root = "/");

/// The CPUs of the cpuset that this process is in; none when no group says so.
std::vector<int> cgroup_cpus(const std::string& root = "/");

}  // namespace cllm
