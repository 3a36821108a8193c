// How many cores and how much memory this process may really use: affinity mask and cgroup limits.
//
// A container sees every CPU and all memory of its host; what it was given stands in the cgroup
// files. Those are read below `root`, "/" but for tests, which feed recorded trees.
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// CPUs that threads made by the calling one may use, ascending: those that it may run on itself,
/// or all again where an OpenMP runtime bound it to a part of them (see cpu/affinity.h).
std::vector<int> usable_cpus();

/// CPU time per second that the cgroups (v1 or v2, ancestors included) grant, in cores such as
/// 1.5; infinity when nothing limits it.
double cpu_quota(const std::string& root = "/");

/// The smaller of the affinity count and the quota rounded up; at least 1.
int usable_cores(const std::string& root = "/");

/// The smaller of the system's available memory and the cgroups' limit, in bytes; infinity when
/// neither is known.
double memory_limit_bytes(const std::string& root = "/");

}  // namespace cllm
