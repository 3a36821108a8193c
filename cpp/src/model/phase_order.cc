#include "model/phase_order.h"

#include <algorithm>

namespace cllm {
namespace {

bool overlap(const Range& a, const Range& b) { return a.begin < b.end && b.begin < a.end; }

}  // namespace

std::vector<std::int32_t> PhaseOrder::add(const std::vector<Access>& accesses) {
  const auto phase = static_cast<std::int32_t>(after_.size());
  std::vector<std::int32_t> before;
  for (const Access& access : accesses) {
    const auto b = static_cast<std::size_t>(access.buffer);
    if (b >= buffers_.size()) buffers_.resize(b + 1);
    looks_ += static_cast<std::int64_t>(buffers_[b].size());
    for (const Past& past : buffers_[b]) {
      if (past.phase != phase && (access.writes || past.writes) &&
          overlap(access.rows, past.rows)) {
        before.push_back(past.phase);
      }
    }
  }
  for (const Access& access : accesses) {
    auto& pasts = buffers_[static_cast<std::size_t>(access.buffer)];
    if (access.writes) forget(pasts, access.rows, phase);
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

void PhaseOrder::forget(std::vector<Past>& pasts, const Range& rows, std::int32_t phase) {
  const std::size_t count = pasts.size();
  looks_ += static_cast<std::int64_t>(count);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Past past = pasts[i];
    if (past.phase == phase || !overlap(rows, past.rows)) {
      pasts[kept++] = past;
      continue;
    }
    const bool below = past.rows.begin < rows.begin, above = rows.end < past.rows.end;
    if (below) pasts[kept++] = {{past.rows.begin, rows.begin}, past.writes, past.phase};
    if (!above) continue;
    const Past rest{{rows.end, past.rows.end}, past.writes, past.phase};
    if (below) {
      pasts.push_back(rest);
    } else {
      pasts[kept++] = rest;
    }
  }
  pasts.erase(pasts.begin() + static_cast<std::ptrdiff_t>(kept),
              pasts.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace cllm
