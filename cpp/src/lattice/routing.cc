#include "lattice/routing.h"

#include <algorithm>

#include "lattice/ring_bands.h"

namespace cllm {

Routing parse_routing(const std::string& name) {
  return name == "symmetry" ? Routing::kSymmetry : Routing::kRoundRobin;
}

Router::Router(const BatchPlan& plan, Routing routing, std::int64_t symmetry_order)
    : routing_(routing),
      sequence_(plan.sequence),
      group_of_(static_cast<std::size_t>(plan.batch)),
      seat_(group_of_.size()),
      room_(plan.positions.size()),
      tokens_in_(static_cast<std::size_t>(symmetry_order)) {
  for (const PositionPlan& position : plan.positions) {
    const auto shard = static_cast<std::size_t>(position.first_shard);
    first_slot_.push_back(plan.shards[shard].first_sequence);
    std::int64_t size = 0;
    for (std::size_t s = shard; s < shard + static_cast<std::size_t>(position.shards); ++s) {
      size += plan.shards[s].sequences;
    }
    sizes_.push_back(size);
  }
}

std::int64_t Router::dominant_group(const std::int32_t* tokens, Span<GroupCount> counts) noexcept {
  const auto order = static_cast<std::int64_t>(tokens_in_.size());
  std::fill(tokens_in_.begin(), tokens_in_.end(), 0);
  for (std::int64_t t = 0; t < sequence_; ++t) {
    ++tokens_in_[static_cast<std::size_t>(symmetry_group(tokens[t], order))];
  }
  for (std::size_t g = 0; g < tokens_in_.size(); ++g) counts[g].tokens += tokens_in_[g];
  return std::max_element(tokens_in_.begin(), tokens_in_.end()) - tokens_in_.begin();
}

void Router::seat_by_group() noexcept {
  for (std::size_t i = 0; i < seat_.size(); ++i) {
    const std::int64_t wanted = position_of(group_of_[i]);
    std::int64_t& room = room_[static_cast<std::size_t>(wanted)];
    seat_[i] = room > 0 ? wanted : -1;
    room -= room > 0 ? 1 : 0;
  }
  std::size_t free = 0;
  for (std::int64_t& seat : seat_) {
    if (seat >= 0) continue;
    while (room_[free] == 0) ++free;  // as many seats as sequences: one is left
    seat = static_cast<std::int64_t>(free);
    --room_[free];
  }
}

void Router::seat_in_turn() noexcept {
  std::size_t next = 0;
  for (std::int64_t& seat : seat_) {
    while (room_[next] == 0) next = (next + 1) % room_.size();
    seat = static_cast<std::int64_t>(next);
    --room_[next];
    next = (next + 1) % room_.size();
  }
}

void Router::route(const std::int32_t* inputs, Span<std::int64_t> slots, Span<GroupCount> counts) {
  std::fill(counts.begin(), counts.end(), GroupCount{});
  const std::int32_t* tokens = inputs;
  for (std::int64_t& group : group_of_) {
    group = dominant_group(tokens, counts);
    tokens += sequence_;
  }
  std::copy(sizes_.begin(), sizes_.end(), room_.begin());
  if (routing_ == Routing::kSymmetry) {
    seat_by_group();
  } else {
    seat_in_turn();
  }
  std::copy(first_slot_.begin(), first_slot_.end(), room_.begin());  // now the next free slot
  for (std::size_t i = 0; i < seat_.size(); ++i) {
    slots[i] = room_[static_cast<std::size_t>(seat_[i])]++;
    GroupCount& count = counts[static_cast<std::size_t>(group_of_[i])];
    ++count.sequences;
    count.moved += seat_[i] != position_of(group_of_[i]) ? 1 : 0;
  }
}

void Router::count_rings(const std::int32_t* inputs, Span<RingCount> counts) const noexcept {
  std::fill(counts.begin(), counts.end(), RingCount{});
  const auto order = static_cast<std::uint32_t>(tokens_in_.size());
  for (std::size_t i = 0; i < seat_.size(); ++i) {
    const std::int64_t moved = seat_[i] != position_of(group_of_[i]) ? 1 : 0;
    for (std::int64_t t = 0; t < sequence_; ++t) {
      const std::int64_t ring = static_cast<std::uint32_t>(*inputs++) / order;
      RingCount& count = counts[static_cast<std::size_t>(ring_band(ring))];
      ++count.tokens;
      count.moved += moved;
    }
  }
}

}  // namespace cllm
