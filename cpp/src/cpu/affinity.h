// Which CPUs a thread may run on, and what an OpenMP runtime made of that.
//
// With OMP_PROC_BIND or GOMP_CPU_AFFINITY set, as on many clusters, loading libgomp (with PyTorch,
// say) binds the loading thread to one CPU, and every thread made by it inherits that. The runtime
// remembers how many CPUs there were, so the binding can be told from a mask that a user set.
#pragma once

#include <pthread.h>

#include <vector>

namespace cllm {

/// CPUs that the calling thread may run on, ascending.
std::vector<int> thread_cpus();

/// Lets the calling thread, or another one, run on these CPUs (ascending; none: no change); what
/// the kernel refuses stays as it was.
void allow_cpus(const std::vector<int>& cpus) noexcept;
void allow_cpus(pthread_t thread, const std::vector<int>& cpus) noexcept;

/// CPUs that the calling thread might ask for: all that its cpuset holds.
std::vector<int> cpuset_cpus();

/// How many CPUs a loaded libgomp counted before it bound any thread; 0: none is loaded.
int openmp_cpu_count();

}  // namespace cllm
