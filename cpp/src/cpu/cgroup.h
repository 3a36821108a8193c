// These functions say what the control groups, v1 and v2, leave of the machine to this process.
//
// A container sees every CPU and all memory of its host; the cgroup files say what it was given.
// They are read below `root`, which is "/" except in tests. Missing or damaged files limit nothing.
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// Returns the CPU time per second that the groups (ancestors included) grant, in cores such as
/// 1.5; infinity when nothing limits it.
double cpu_quota(const std::string& root = "/");

/// Returns the bytes of memory for a process that already has `own` of them: the limits less what
/// others in the same groups use. Files do not count, because they are given back when memory is
/// short. Infinity when nothing limits it.
double cgroup_memory_limit(double own, const std::string& root = "/");

/// Returns the CPUs of the cpuset that this process is in; none when no group names any.
std::vector<int> cgroup_cpus(const std::string& root = "/");

}  // namespace cllm
