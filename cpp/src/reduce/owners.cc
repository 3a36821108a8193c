#include "reduce/owners.h"

#include <algorithm>
#include <numeric>

namespace cllm {

std::vector<std::int32_t> deal_runs(Span<const std::int64_t> weights, int owners) {
  const auto count = static_cast<std::int32_t>(weights.size());
  const double share =
      std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(owners);
  std::vector<std::int32_t> begins = {0};
  double before = 0;  // weight of the things before `next`
  std::int32_t next = 0;
  for (int o = 1; o < owners; ++o) {
    const std::int32_t least = begins.back() + 1, most = count - (owners - o);
    // A thing goes to the owner whose share contains its middle.
    while (next < most) {
      const auto weight = static_cast<double>(weights[static_cast<std::size_t>(next)]);
      if (next >= least && before + weight / 2 >= share * o) break;
      before += weight;
      ++next;
    }
    begins.push_back(next);
  }
  begins.push_back(count);
  return begins;
}

OwnedBlocks::OwnedBlocks(const TensorTable& table, int owners) {
  std::vector<std::int64_t> sizes;
  for (const Block& b : table.blocks()) sizes.push_back(b.size);
  begins_ = deal_runs(sizes, std::min(owners, static_cast<int>(sizes.size())));
}

}  // namespace cllm
