// These functions tell which CPUs a thread may run on, and how an OpenMP runtime changed that.
//
// With OMP_PROC_BIND or GOMP_CPU_AFFINITY set, as on many clusters, loading libgomp (for instance
// with PyTorch) binds the loading thread to one CPU, and every thread that it makes inherits the
// binding. The runtime remembers how many CPUs there were, so the binding can be told from a mask
// that a user set.
#pragma once

#include <pthread.h>

#include <vector>

namespace cllm {

/// Returns the CPUs that the calling thread may run on, ascending.
std::vector<int> thread_cpus();

/// Lets the calling thread, or another one, run on these CPUs (ascending; none: no change). If the
/// kernel refuses, nothing changes.
void allow_cpus(const std::vector<int>& cpus) noexcept;
void allow_cpus(pthread_t thread, const std::vector<int>& cpus) noexcept;

/// Returns the CPUs that the calling thread could ask for: all that its cpuset holds.
std::vector<int> cpuset_cpus();

/// Says how many CPUs a loaded libgomp counted before it bound any thread; 0: none is loaded.
int openmp_cpu_count();

}  // namespace cllm
