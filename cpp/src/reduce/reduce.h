// These functions add over positions and blocks in an order given by indices. They are pure
// functions over ranges and know no threads. Cost: a merge of k sources moves (k + 1) * 4n bytes, a
// norm partial 4n.
#pragma once

#include "base/span.h"
#include "cpu/kernel_table.h"
#include "model/tensor_table.h"
#include "plan/batch_plan.h"

namespace cllm {

/// out[n] = ((s0 + s1) + s2): does one merge of the plan's tree on one block. `sources` are whole
/// flat gradients. `out` is one of them, because a merge leaves its sum in the buffer of its first
/// input.
void merge_block(const KernelTable& kernels, const Block& block, Span<const float* const> sources,
                 float* out);

/// Returns the sum of squares of one block; the global norm is made of these.
double norm_partial(const KernelTable& kernels, const Block& block, const float* gradient);

/// Returns the square root of the sum of the partials, added in block order.
double global_norm(Span<const double> partials);

/// Returns, for each node of the merge tree, the position whose buffer holds its sum. Nodes 0..K-1
/// are the positions; a merge stands in the buffer of its first input.
std::vector<int> buffer_positions(int positions, const std::vector<MergePlan>& merges);

}  // namespace cllm
