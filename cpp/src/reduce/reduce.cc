#include "reduce/reduce.h"

#include <cmath>

namespace cllm {

void merge_block(const KernelTable& kernels, const Block& block, Span<const float* const> sources,
                 float* out) {
  const float* at[3];
  for (std::size_t i = 0; i < sources.size(); ++i) at[i] = sources[i] + block.offset;
  kernels.ordered_sum(static_cast<std::size_t>(block.size), static_cast<int>(sources.size()), at,
                      out + block.offset);
}

double norm_partial(const KernelTable& kernels, const Block& block, const float* gradient) {
  return kernels.sum_squares(static_cast<std::size_t>(block.size), gradient + block.offset);
}

double global_norm(Span<const double> partials) {
  double sum = 0;
  for (double p : partials) sum += p;
  return std::sqrt(sum);
}

std::vector<int> buffer_positions(int positions, const std::vector<MergePlan>& merges) {
  std::vector<int> holder;
  for (int p = 0; p < positions; ++p) holder.push_back(p);
  for (const MergePlan& m : merges) {
    holder.push_back(holder[static_cast<std::size_t>(m.inputs[0])]);
  }
  return holder;
}

}  // namespace cllm
