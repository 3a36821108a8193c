#include "model/phase_order.h"

#include <algorithm>

namespace cllm {
namespace {

bool overlap(const Range& a, const Range& b) { return a.begin < b.end && b.begin < a.end; }

}  // namespace

std::vector<std::int32_t> PhaseOrder::add(const std::vector<Access>& accesses) {
  const std::int32_t phase = phases();
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

  earliest_met_ = before.empty() ? phase : before.front();

  const auto implied = [&](std::int32_t candidate) {
    return std::any_of(before.begin(), before.end(),
                       [&](std::int32_t other) { return waits_for(other, candidate); });
  };
  std::vector<std::int32_t> needed;
  for (const std::int32_t candidate : before) {
    if (!implied(candidate)) needed.push_back(candidate);
  }
  after_.push_back(needed);
  return needed;
}

bool PhaseOrder::waits_for(std::int32_t phase, std::int32_t before) const {
  if (phase < forgotten_) return false;
  const auto& after = after_[static_cast<std::size_t>(phase - forgotten_)];
  return std::binary_search(after.begin(), after.end(), before);
}

bool PhaseOrder::repeats(const Pasts& before, std::int32_t length) const {
  if (before.size() != buffers_.size()) return false;
  const std::int32_t last_two = phases() - 2 * length;
  const auto same = [&](const Past& now, const Past& then) {
    return now.rows.begin == then.rows.begin && now.rows.end == then.rows.end &&
           now.writes == then.writes &&
           (now.phase == then.phase + length || (now.phase == then.phase && now.phase < last_two));
  };
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    if (!std::equal(buffers_[b].begin(), buffers_[b].end(), before[b].begin(), before[b].end(),
                    same)) {
      return false;
    }
  }
  return true;
}

void PhaseOrder::repeat(std::int32_t length, std::int32_t times) {
  const std::int32_t first = phases() - length, later = length * times;
  for (auto& pasts : buffers_) {
    for (Past& past : pasts) past.phase += past.phase >= first ? later : 0;
  }
  after_.erase(after_.begin(), after_.end() - length);
  for (auto& after : after_) {
    for (std::int32_t& before : after) before += later;
  }
  forgotten_ = first + later;
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
