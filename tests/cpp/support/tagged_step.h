// A tagged step trains over tags instead of floats, so every lost, doubled or reordered part shows.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "plan/batch_plan.h"
#include "reduce/buffer_pool.h"
#include "reduce/reduce.h"
#include "spheres/stage.h"
#include "violation.h"

namespace cllm {

/// Names the bug that is planted, one of each kind.
enum class Bug { kNone, kReorderedSum, kLostDone, kDoubleClaim, kPoolDeadlock, kStopLost };

class TaggedStep final : public TileRunner, public Conductor {
 public:
  struct Shape {
    int positions;
    int rounds;  ///< of a position over its blocks; its halves do not wait for each other
    int blocks;  ///< tiles of a round and of a merge
    int owners, active_workers;
  };

  TaggedStep(const Shape& shape, const std::vector<int>& worker_owners, Bug bug)
      : shape_(shape),
        bug_(bug),
        merges_(plan_merges(shape.positions)),
        holders_(buffer_positions(shape.positions, merges_)),
        pool_(bug == Bug::kPoolDeadlock ? most_waiting(shape.positions)
                                        : pool_size(shape.positions, shape.active_workers)),
        buffer_of_(static_cast<std::size_t>(shape.positions), -1),
        told_at_(static_cast<std::size_t>(first_norm()), 0) {
    const int buffers = pool_size(shape.positions, shape.active_workers);
    sums_.assign(static_cast<std::size_t>(buffers), Sums(static_cast<std::size_t>(shape.blocks)));
    std::vector<JobPlan> plans = plan_jobs();
    for (const JobPlan& plan : plans) {
      ran_.emplace_back();
      for (const PhasePlan& p : plan.phases) ran_.back().emplace_back(index(p.tiles), 0);
    }
    told_.resize(plans.size());
    stage_ = std::make_unique<Stage>(std::move(plans), worker_owners, *this);
  }

  Stage& stage() { return *stage_; }
  /// Called before a tile is run; may throw.
  std::function<void(const TileClaim&)> before_tile;
  /// From this tile on, by the order of their start, none is computed until the run ends.
  int cancel_at = -1;

  void run_tile(int, const TileClaim& claim) override {
    if (before_tile) before_tile(claim);
    int& ran = ran_[index(claim.job)][index(claim.phase)][index(claim.tile)];
    check_that(std::exchange(ran, run_) != run_, "a tile ran twice in a run");
    if (cancel_at >= 0 && cancel_at-- == 0) cancelled_ = true;
    if (cancelled_) return stage_->skip_rest(claim);
    if (claim.job < shape_.positions) {
      const int round = claim.phase / halves(), half = claim.phase % halves();
      std::uint64_t& sum = sums(claim.job)[index(half * blocks_of(0) + claim.tile)];
      if (round == 0) sum = leaf(claim.job);
      sum = add(sum, static_cast<std::uint64_t>(round + 1));
    } else if (claim.job < first_norm()) {
      const MergePlan& merge = merges_[index(claim.job - shape_.positions)];
      const auto block = index(claim.tile);
      std::uint64_t inputs[3] = {};
      for (int i = 0; i < merge.count; ++i) inputs[i] = sums(merge.inputs[i])[block];
      if (bug_ == Bug::kReorderedSum && came_later(merge.inputs[0], merge.inputs[1])) {
        std::swap(inputs[0], inputs[1]);  // in the order of arrival
      }
      std::uint64_t sum = inputs[0];
      for (int i = 1; i < merge.count; ++i) sum = add(sum, inputs[i]);
      sums(merge.inputs[0])[block] = sum;
    } else {
      check_that(sums(first_norm() - 1) == Sums(index(shape_.blocks), expected(first_norm() - 1)),
                 "a sum is not that of its inputs in their order");
    }
  }

  void begin(Stage& stage) override {
    cancelled_ = false;
    if (run_++ > 0) pool_.give(buffer_of_[index(holders_.back())]);
    next_ = norms_ = dones_ = 0;
    open_positions(stage);
  }

  bool on_done(Stage& stage, int job) override {
    check_that(++told_[index(job)] == run_, "a Done came twice, or in another run");
    if (job < first_norm()) {
      if (job >= shape_.positions) {
        const MergePlan& merge = merges_[index(job - shape_.positions)];
        for (int i = 1; i < merge.count; ++i) {
          pool_.give(buffer_of_[index(holders_[index(merge.inputs[i])])]);
        }
      }
      open_positions(stage);
    } else if (job < first_update() && ++norms_ == shape_.owners) {
      for (int s = 0; s < shape_.owners; ++s) stage.arrive(first_update() + s);
    }
    return ++dones_ == stage.jobs() && every_tile_ran();
  }

  /// Notes a tile's report, in the order of arrival.
  void on_finished(int job) {
    if (job < first_norm()) told_at_[index(job)] = ++clock_;
  }

 private:
  using Sums = std::vector<std::uint64_t>;
  static std::size_t index(int i) noexcept { return static_cast<std::size_t>(i); }
  // This add neither commutes nor associates.
  static std::uint64_t add(std::uint64_t a, std::uint64_t b) noexcept {
    return (a ^ (b * 0x9E3779B97F4A7C15u)) * 0xD6E8FEB86659FD93u + (b >> 7);
  }
  static std::uint64_t leaf(int position) noexcept {
    return 1000003u * static_cast<std::uint64_t>(position + 1);
  }
  std::uint64_t expected(int node) const {
    if (node < shape_.positions) {
      std::uint64_t sum = leaf(node);
      for (int r = 1; r <= shape_.rounds; ++r) sum = add(sum, static_cast<std::uint64_t>(r));
      return sum;
    }
    const MergePlan& merge = merges_[index(node - shape_.positions)];
    std::uint64_t sum = expected(merge.inputs[0]);
    for (int i = 1; i < merge.count; ++i) sum = add(sum, expected(merge.inputs[i]));
    return sum;
  }
  bool every_tile_ran() const {
    for (const auto& phases : ran_) {
      for (const auto& tiles : phases) {
        for (int ran : tiles) check_that(ran == run_ || cancelled_, "a tile did not run");
      }
    }
    return true;
  }
  bool came_later(int a, int b) const { return told_at_[index(a)] > told_at_[index(b)]; }

  int halves() const { return std::min(2, shape_.blocks); }
  int blocks_of(int half) const { return (shape_.blocks + halves() - 1 - half) / halves(); }
  int first_norm() const { return shape_.positions + static_cast<int>(merges_.size()); }
  int first_update() const { return first_norm() + shape_.owners; }
  Sums& sums(int node) { return sums_[index(buffer_of_[index(holders_[index(node)])])]; }

  void open_positions(Stage& stage) {
    while (next_ < shape_.positions && !pool_.empty()) {
      buffer_of_[index(next_)] = pool_.take();
      stage.arrive(next_++);
    }
  }

  std::vector<JobPlan> plan_jobs() const {
    std::vector<JobPlan> plans(index(first_update() + shape_.owners));
    for (int j = 0; j < static_cast<int>(plans.size()); ++j) {
      JobPlan& plan = plans[index(j)];
      plan.reports = true;
      plan.phases = {{1, {}}};
      if (j < first_norm()) plan.phases = {{shape_.blocks, {}}};
      if (j < shape_.positions) plan.phases = position_phases();
      if (j >= first_norm()) plan.owner = (j - first_norm()) % shape_.owners;
      if (j < shape_.positions || j >= first_norm()) continue;
      const MergePlan& merge = merges_[index(j - shape_.positions)];
      plan.arrivals = merge.count;
      for (int i = 0; i < merge.count; ++i) plans[index(merge.inputs[i])].successors = {j};
    }
    for (int s = 0; s < shape_.owners; ++s) {
      plans[index(first_norm() - 1)].successors.push_back(first_norm() + s);
    }
    return plans;
  }

  std::vector<PhasePlan> position_phases() const {
    std::vector<PhasePlan> phases;
    for (int p = 0; p < shape_.rounds * halves(); ++p) {
      phases.push_back({blocks_of(p % halves()), {}, p % halves()});
      if (p >= halves()) phases.back().after = {p - halves()};
    }
    return phases;
  }

  const Shape shape_;
  const Bug bug_;
  const std::vector<MergePlan> merges_;
  const std::vector<int> holders_;
  BufferPool pool_;
  std::vector<int> buffer_of_;                      // by position
  std::vector<int> told_at_;                        // by node of the merge tree
  std::vector<Sums> sums_;                          // [buffer][block]
  std::vector<std::vector<std::vector<int>>> ran_;  // [job][phase][tile]: its last run
  std::vector<int> told_;                           // [job]: the number of runs that reported it
  bool cancelled_ = false;
  int run_ = 0, next_ = 0, norms_ = 0, dones_ = 0, clock_ = 0;
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
