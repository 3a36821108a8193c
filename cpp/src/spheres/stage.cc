#include "spheres/stage.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace cllm {
namespace {

/// Says whether a phase can be run as planned. `first` is its number the first time.
bool is_right(const PhasePlan& phase, std::int32_t first, const Laps& laps, const Laps::Part& lap) {
  bool right = phase.tiles >= 1 && phase.strand >= 0 && (lap.times == 1 || !phase.after.empty());
  for (const std::int32_t before : phase.after) {
    right = right && before >= 0 && before < first;
    if (!right || before >= lap.first) continue;
    const Laps::Place place = laps.place(before);
    right =
        place.time + 1 == place.part->times && (lap.times == 1 || before >= lap.first - lap.phases);
  }
  return right;
}

/// Throws for plans that would never finish, because an exception now is better than a run that
/// hangs.
void check_plans(const std::vector<JobPlan>& plans) {
  for (std::size_t j = 0; j < plans.size(); ++j) {
    const Laps laps(plans[j]);
    std::size_t listed = 0;
    bool right = !plans[j].phases.empty();
    for (const Laps::Part& lap : laps.parts()) {
      right = right && lap.phases >= 1 && lap.times >= 1;
      for (std::int32_t p = 0; right && p < lap.phases; ++p, ++listed) {
        right = listed < plans[j].phases.size() &&
                is_right(plans[j].phases[listed], lap.first + p, laps, lap);
      }
    }
    if (!right || listed != plans[j].phases.size() ||
        count_tiles(plans[j]) > std::numeric_limits<std::int32_t>::max()) {
      throw std::invalid_argument(
          "job " + std::to_string(j) +
          " has a phase without tiles or strand, or one that waits for a later one, or laps that "
          "are not those of its phases, or too many tiles");
    }
  }
}

}  // namespace

Stage::Stage(std::vector<JobPlan> plans, std::vector<int> worker_owners, TileRunner& runner)
    : plans_(std::move(plans)),
      worker_owners_(std::move(worker_owners)),
      opened_by_root_(plans_.size(), 1),
      jobs_(std::make_unique<Job[]>(plans_.size())),
      runner_(&runner) {
  check_plans(plans_);
  for (const JobPlan& p : plans_) {
    for (int next : p.successors) opened_by_root_[static_cast<std::size_t>(next)] = 0;
  }
  for (int j = 0; j < jobs(); ++j) at(j).bind(plans_[static_cast<std::size_t>(j)]);
  deal_starts();
  deal_orders();
}

void Stage::deal_starts() {
  std::vector<char> follows(plans_.size(), 0);
  for (const JobPlan& p : plans_) {
    if (p.owner >= 0) continue;
    for (int next : p.successors) follows[static_cast<std::size_t>(next)] = 1;
  }
  double tiles = 0;
  for (int j = 0; j < jobs(); ++j) {
    if (plan(j).owner >= 0 || follows[static_cast<std::size_t>(j)] != 0) continue;
    tiles += static_cast<double>(count_tiles(plan(j)));
    starts_.push_back({j, tiles});
  }
  if (starts_.empty()) starts_.push_back({0, 0});
}

void Stage::deal_orders() {
  const int owners = 1 + *std::max_element(worker_owners_.begin(), worker_owners_.end());
  for (const Start& start : starts_) {
    for (int own = 0; own < owners; ++own) {
      const auto begin = static_cast<std::ptrdiff_t>(orders_.size());
      for (int i = 0; i < jobs(); ++i) orders_.push_back((start.job + i) % jobs());
      std::stable_partition(orders_.begin() + begin, orders_.end(),
                            [&](int j) { return plan(j).owner == own; });
    }
  }
}

// If there are at most as many workers as starts, each worker has a start of its own. Otherwise
// starts get workers in proportion to their tiles, so that long and short ones end together; one
// worker left alone at a long one could not do that.
Span<const int> Stage::order(int worker) const noexcept {
  const int crew = workers(), starts = static_cast<int>(starts_.size());
  worker = std::max(worker, 0);
  int start = std::min(worker, starts - 1);
  if (crew > starts) {
    const double place = (std::min(worker, crew - 1) + 0.5) / crew * starts_.back().tiles;
    start = 0;
    while (start + 1 < starts && starts_[static_cast<std::size_t>(start)].tiles <= place) ++start;
  }
  const std::size_t of_start = orders_.size() / starts_.size(), count = plans_.size();
  const auto own = static_cast<std::size_t>(worker_owners_[static_cast<std::size_t>(worker)]);
  return Span<const int>(orders_).subspan(static_cast<std::size_t>(start) * of_start + own * count,
                                          count);
}

void Stage::reset(int workers) noexcept {
  workers_.store(workers, std::memory_order_relaxed);
  unclaimed_.store(jobs(), std::memory_order_release);
  for (int j = 0; j < jobs(); ++j) at(j).reset();  // releases both stores above
}

void Stage::arrive(int first, int count) noexcept {
  std::int32_t tiles = 0;
  for (int job = first; job < first + count; ++job) tiles += open_by_arrival(job);
  if (tiles > 0) event_.notify(tiles);
}

void Stage::abandon() noexcept {
  for (int j = 0; j < jobs(); ++j) at(j).open();
  abandoned_.exchange(1, std::memory_order_acq_rel);
  event_.notify(kWakeAll);
}

bool Stage::finished() const noexcept {
  for (int j = 0; j < jobs(); ++j) {
    if (!at(j).finished()) return false;
  }
  return true;
}

TileClaim Stage::claim(int worker, int current_job) noexcept {
  const bool any = abandoned_.load(std::memory_order_acquire) != 0;
  const int seat = this->seat(worker);
  const auto take = [this, any, seat, current_job](int job) -> TileClaim {
    const Job::Ticket ticket = at(job).claim(seat, any);
    if (ticket.phase < 0) return {};
    if (current_job >= 0 && job != current_job) at(current_job).leave(seat);
    claimed(ticket);
    return {job, ticket.phase, ticket.tile};
  };
  if (current_job >= 0) {
    if (TileClaim c = take(current_job)) return c;
  }
  if (current_job >= 0 && plan(current_job).owner < 0) {
    for (int job : plan(current_job).successors) {
      if (plan(job).owner >= 0 || !at(job).untouched()) continue;
      if (TileClaim c = take(job)) return c;
    }
  }
  const Span<const int> order = this->order(worker);
  for (int job : order) {
    if (!at(job).untouched()) continue;
    if (TileClaim c = take(job)) return c;
  }
  // The job with the most tiles left gets help first, so that the jobs end together.
  int longest = -1;
  std::int32_t most = 0;
  for (int job : order) {
    const std::int32_t left = at(job).claimable();
    if (left > most) {
      most = left;
      longest = job;
    }
  }
  if (longest >= 0) {
    if (TileClaim c = take(longest)) return c;
  }
  for (int job : order) {  // another worker took that one
    if (TileClaim c = take(job)) return c;
  }
  return {};
}

void Stage::claimed(const Job::Ticket& ticket) noexcept {
  if (ticket.last) {
    // This run has nothing left to claim: the sleepers leave it, to be ready for another stage.
    if (unclaimed_.fetch_sub(1, std::memory_order_acq_rel) == 1) event_.notify(kWakeAll);
  } else if (ticket.next_ready > 0 && event_.has_waiters()) {
    // The next phase opened while this one still hid it, so workers woken for it found nothing.
    event_.notify(ticket.next_ready);
  }
}

void Stage::skip_rest(const TileClaim& claim) noexcept {
  if (at(claim.job).skip_rest()) claimed({claim.phase, claim.tile, 0, true});
}

bool Stage::finish(const TileClaim& claim) noexcept {
  const Job::Finished finished = at(claim.job).finish_tile(claim.phase);
  if (finished.opened > 0) event_.notify(finished.opened);
  if (!finished.job) return false;
  const JobPlan& done = plan(claim.job);
  std::int32_t tiles = 0;
  for (int next : done.successors) tiles += open_by_arrival(next);
  if (tiles > 0) event_.notify(tiles);
  if (abandoned_.fetch_add(0, std::memory_order_acq_rel) != 0) event_.notify(kWakeAll);
  return done.reports;
}

Stage::Outlook Stage::outlook() const noexcept {
  if (unclaimed_.load(std::memory_order_acquire) == 0) return Outlook::kNothing;
  for (int job = 0; job < jobs(); ++job) {
    const bool waits_for_root =
        at(job).is_closed() && opened_by_root_[static_cast<std::size_t>(job)] != 0;
    if (!waits_for_root && !at(job).claimed_out()) return Outlook::kSoon;
  }
  return Outlook::kRoot;
}

bool Stage::rests() const noexcept {
  for (int job = 0; job < jobs(); ++job) {
    if (!at(job).is_closed() && !at(job).finished()) return false;
  }
  return true;
}

}  // namespace cllm
