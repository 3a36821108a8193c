// The time of a round trip between two cores tells whether they share a cache. On some machines
// nothing else does: a virtual machine's CPUs may move between caches every minute.
#pragma once

namespace cllm {

/// Returns the nanoseconds that a word takes from one CPU to the other and back, the median of some
/// batches: about 100 inside a cache that both share, several times as long between two caches. 0
/// for the same CPU, and where no thread may run on one of them. Both CPUs should be idle.
double core_round_trip_ns(int cpu, int other);

}  // namespace cllm
