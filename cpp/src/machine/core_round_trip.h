// How far apart two cores are: what says whether they share a cache, on machines where nothing else
// does (a virtual machine's CPUs may move from one to the other by the minute).
#pragma once

namespace cllm {

/// Nanoseconds that a word takes from one CPU to the other and back, the median of some batches:
/// about 100 inside a cache that both share, some times as long between two. 0 for the same CPU and
/// where no thread may run on one of them. Both should be idle.
double core_round_trip_ns(int cpu, int other);

}  // namespace cllm
