#include "spheres/stage.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace cllm {
namespace {

/// A phase without tiles would never be finished: better an exception now than a run that hangs.
void check_plans(const std::vector<JobPlan>& plans) {
  for (std::size_t j = 0; j < plans.size(); ++j) {
    const auto& tiles = plans[j].tiles;
    if (tiles.empty() || *std::min_element(tiles.begin(), tiles.end()) < 1) {
      throw std::invalid_argument("job " + std::to_string(j) + " has a phase without tiles");
    }
  }
}

}  // namespace

Stage::Stage(std::vector<JobPlan> plans, const std::vector<int>& worker_subtree, TileRunner& runner)
    : plans_(std::move(plans)), jobs_(std::make_unique<Job[]>(plans_.size())), runner_(&runner) {
  check_plans(plans_);
  const int count = jobs();
  for (int j = 0; j < count; ++j) at(j).bind(plans_[static_cast<std::size_t>(j)]);
  const int workers = static_cast<int>(worker_subtree.size());
  const std::vector<int> homes = deal_homes(workers);
  for (int w = 0; w < workers; ++w) {
    const int home = homes[static_cast<std::size_t>(w)];
    const auto begin = static_cast<std::ptrdiff_t>(orders_.size());
    for (int i = 0; i < count; ++i) orders_.push_back((home + i) % count);
    const int own = worker_subtree[static_cast<std::size_t>(w)];
    std::stable_partition(orders_.begin() + begin, orders_.end(),
                          [&](int j) { return plan(j).subtree == own; });
  }
}

// Where each worker looks first, among the jobs that wait for no other and are nobody's. Fewer
// workers than such jobs: each starts at its own. More: a job gets them by its number of tiles, so
// that long and short ones end together; a long one left alone could not use them all.
std::vector<int> Stage::deal_homes(int workers) const {
  std::vector<char> first(plans_.size(), 1);
  for (const JobPlan& p : plans_) {
    for (int next : p.successors) first[static_cast<std::size_t>(next)] = 0;
  }
  std::vector<int> starts;
  std::vector<double> end;  // running sum of tiles
  double tiles = 0;
  for (int j = 0; j < jobs(); ++j) {
    if (plan(j).subtree >= 0 || first[static_cast<std::size_t>(j)] == 0) continue;
    for (std::int32_t n : plan(j).tiles) tiles += n;
    starts.push_back(j);
    end.push_back(tiles);
  }
  std::vector<int> homes(static_cast<std::size_t>(workers), 0);
  for (int w = 0; w < workers && !starts.empty(); ++w) {
    std::size_t s = static_cast<std::size_t>(w);
    if (static_cast<std::size_t>(workers) > starts.size()) {
      const double place = (w + 0.5) / workers * tiles;
      s = static_cast<std::size_t>(std::upper_bound(end.begin(), end.end(), place) - end.begin());
    }
    homes[static_cast<std::size_t>(w)] = starts[std::min(s, starts.size() - 1)];
  }
  return homes;
}

void Stage::reset() noexcept {
  for (int j = 0; j < jobs(); ++j) at(j).reset();
}

void Stage::abandon() noexcept {
  for (int j = 0; j < jobs(); ++j) at(j).abandon();
}

TileClaim Stage::claim(int worker, int current_job) noexcept {
  const auto take = [this](int job) -> TileClaim {
    const Job::Ticket ticket = at(job).claim();
    if (ticket.phase == 0) return {};
    return {job, ticket.phase, ticket.tile};
  };
  if (current_job >= 0) {
    if (TileClaim c = take(current_job)) return c;
  }
  for (int job : order(worker)) {
    if (!at(job).untouched()) continue;
    if (TileClaim c = take(job)) return c;
  }
  // The longest way to go gets help first, so that the jobs end together.
  int longest = -1;
  std::int32_t most = -1;
  for (int job : order(worker)) {
    const std::int32_t left = at(job).phases_left();
    if (left > most) {
      most = left;
      longest = job;
    }
  }
  if (longest >= 0) {
    if (TileClaim c = take(longest)) return c;
  }
  for (int job : order(worker)) {  // it was taken meanwhile
    if (TileClaim c = take(job)) return c;
  }
  return {};
}

bool Stage::finish(const TileClaim& claim) noexcept {
  Job& job = at(claim.job);
  if (!job.finish_tile(claim.phase)) return false;
  // Closed before the successors hear of it: once they do, the stage may end and start again
  // without this thread, and its word must not be touched any more.
  job.close();
  for (int next : job.plan().successors) at(next).arrive();
  return job.plan().reports;
}

Stage::Wait Stage::wait_target(int worker, int current_job) const noexcept {
  // One look a job: the state is that of the word to sleep on. With two, the word may be the end of
  // one run and the state of the next, and who falls asleep on the next end is woken by nobody.
  const auto open = [this](int job, Wait& wait) {
    const std::uint64_t observed = at(job).observe();
    if (at(job).state_of(observed) != Job::State::kOpen) return false;
    wait = {job, true, observed};
    return true;
  };
  Wait wait;
  if (current_job >= 0 && open(current_job, wait)) return wait;
  for (int job : order(worker)) {
    if (open(job, wait)) return wait;
  }
  for (int job = 0; job < jobs(); ++job) {
    const std::uint64_t observed = at(job).observe();
    if (at(job).state_of(observed) != Job::State::kFinished) return {job, false, observed};
  }
  return wait;
}

}  // namespace cllm
