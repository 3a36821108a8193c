#include "model/phase_order.h"

#include <algorithm>

namespace cllm {
namespace {

bool overlap(const Range& a, const Range& b) { return a.begin < b.end && b.begin < a.end; }
bool covers(const Range& a, const Range& b) { return a.begin <= b.begin && b.end <= a.end; }

}  // namespace

std::vector<std::int32_t> PhaseOrder::add(const std::vector<Access>& accesses) {
  const auto phase = static_cast<std::int32_t>(after_.size());
  std::vector<std::int32_t> before;
  for (const Access& access : accesses) {
    const auto b = static_cast<std::size_t>(access.buffer);
    if (b >= buffers_.size()) buffers_.resize(b + 1);
    for (const Past& past : buffers_[b]) {
      if (past.phase != phase && (access.writes || past.writes) &&
          overlap(access.rows, past.rows)) {
        before.push_back(past.phase);
      }
    }
  }
  for (const Access& access : accesses) {
    auto& pasts = buffers_[static_cast<std::size_t>(access.buffer)];
    if (access.writes) {  // whoever waits for this phase waits for those that it covers
      pasts.erase(std::remove_if(pasts.begin(), pasts.end(),
                                 [&](const Past& past) {
                                   return past.phase != phase && covers(access.rows, past.rows);
                                 }),
                  pasts.end());
    }
    pasts.push_back({access.rows, access.writes, phase});
  }
  std::sort(before.begin(), before.end());
  before.erase(std::unique(before.begin(), before.end()), before.end());

  const auto implied = [&](std::int32_t candidate) {
    return std::any_of(before.begin(), before.end(), [&](std::int32_t other) {
      const auto& after = after_[static_cast<std::size_t>(other)];
      return std::binary_search(after.begin(), after.end(), candidate);
    });
  };
  std::vector<std::int32_t> needed;
  for (const std::int32_t candidate : before) {
    if (!implied(candidate)) needed.push_back(candidate);
  }
  after_.push_back(needed);
  return needed;
}

}  // namespace cllm
