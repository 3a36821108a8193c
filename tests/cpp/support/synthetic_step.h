// A synthetic step for the engine's tests has jobs like those of training. Each tile checks that
// all that it depends on was written before, in this run, by whatever worker.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include "plan/batch_plan.h"
#include "plan_laps.h"
#include "spheres/tree.h"

namespace cllm {

/// Has positions (opened in order, at most `open_limit` at a time), the merges of their tree, norms
/// and updates by owner. Every tile has a plain cell, so a missing order is a data race.
class SyntheticStep final : public TileRunner, public Conductor {
 public:
  struct Shape {
    int positions = 3, most_phases = 4, most_tiles = 5, open_limit = 2;
    bool merges_report = true;
    std::uint32_t seed = 1;
  };

  SyntheticStep(const Shape& shape, const SphereTree& tree)
      : shape_(shape),
        merges_(plan_merges(shape.positions)),
        owners_(tree.owners()),
        ran_(static_cast<std::size_t>(tree.workers()) + 1) {
    std::vector<JobPlan> plans = plan_jobs();
    for (auto* table : {&told_, &opened_}) table->resize(plans.size());
    predecessors_.resize(plans.size());
    cells_.resize(plans.size());
    for (std::size_t j = 0; j < plans.size(); ++j) {
      for (int next : plans[j].successors) {
        predecessors_[static_cast<std::size_t>(next)].push_back(static_cast<int>(j));
      }
      phases_.push_back(unrolled(plans[j]));
      for (const PhasePlan& phase : phases_.back()) {
        cells_[j].emplace_back(static_cast<std::size_t>(phase.tiles), 0);
        tiles_ += static_cast<std::uint64_t>(phase.tiles);
      }
      reports_ += plans[j].reports ? 1 : 0;
    }
    stage_ = std::make_unique<Stage>(std::move(plans), tree.owned_runs(), *this);
  }

  /// Makes one run and checks what can be checked after it.
  void run(SphereTree& tree) {
    ++run_;
    tree.run(*stage_, *this);
    EXPECT_EQ(wrong_.load(), 0u) << "tiles that ran twice, or before what they depend on";
    EXPECT_EQ(dones_, reports_);
    std::uint64_t ran = 0;
    for (int j = 0; j < jobs(); ++j) {
      for (std::size_t p = 0; p < cells_[static_cast<std::size_t>(j)].size(); ++p) {
        if (this->ran(j, p)) ran += cells_[static_cast<std::size_t>(j)][p].size();
      }
    }
    EXPECT_EQ(ran, tiles_) << "tiles that did not run";
  }

  std::uint64_t runs() const { return run_; }
  std::uint64_t tiles() const { return tiles_; }
  int reports() const { return reports_; }
  int phases(int job) const {
    return static_cast<int>(phases_[static_cast<std::size_t>(job)].size());
  }
  int jobs() const { return stage_->jobs(); }
  Stage& stage() { return *stage_; }
  std::uint64_t tiles_of(std::size_t worker) const { return ran_.at(worker).tiles; }

  /// Tests of faults throw from these; they are called on the root.
  std::function<void()> at_begin, at_meanwhile;
  std::function<void(int job)> at_done;

 private:
  // Marks differ for every (run, job, phase, tile).
  static std::uint64_t mark(std::uint64_t run, std::uint64_t job, std::uint64_t phase,
                            std::uint64_t tile) {
    return (run << 32) | (job << 20) | (phase << 10) | tile;
  }

  int first_norm() const { return shape_.positions + static_cast<int>(merges_.size()); }
  int first_update() const { return first_norm() + owners_; }

  std::vector<JobPlan> plan_jobs() {
    std::mt19937 random(shape_.seed);
    const auto up_to = [&](int most) {
      return 1 + static_cast<int>(random() % static_cast<std::uint32_t>(most));
    };
    std::vector<JobPlan> plans(static_cast<std::size_t>(first_update() + owners_));
    for (int j = 0; j < static_cast<int>(plans.size()); ++j) {
      JobPlan& plan = plans[static_cast<std::size_t>(j)];
      const int phases = j < shape_.positions ? up_to(shape_.most_phases) : 1;
      for (int p = 0; p < phases; ++p) add_phase(plan, up_to(shape_.most_tiles), up_to);
      if (j < shape_.positions && shape_.seed % 2 == 0) add_laps(plan, up_to(7));
      const bool merge = j >= shape_.positions && j < first_norm();
      plan.reports = !merge || shape_.merges_report;
      if (j >= first_norm()) plan.owner = (j - first_norm()) % owners_;
      if (!merge) continue;
      const MergePlan& m = merges_[static_cast<std::size_t>(j - shape_.positions)];
      plan.arrivals = m.count;
      for (int i = 0; i < m.count; ++i) {
        plans[static_cast<std::size_t>(m.inputs[i])].successors = {j};
      }
    }
    for (int s = 0; s < owners_; ++s) {
      plans[static_cast<std::size_t>(first_norm() - 1)].successors.push_back(first_norm() + s);
    }
    return plans;
  }

  // Workers call these.
  bool ran(int job, std::size_t phase) const {
    const auto j = static_cast<std::size_t>(job);
    for (std::size_t t = 0; t < cells_[j][phase].size(); ++t) {
      if (cells_[j][phase][t] != mark(run_, j, phase, t)) return false;
    }
    return true;
  }

  void run_tile(int worker, const TileClaim& claim) override {
    const auto job = static_cast<std::size_t>(claim.job);
    const auto phase = static_cast<std::size_t>(claim.phase);
    const auto tile = static_cast<std::size_t>(claim.tile);
    bool right = true;
    const std::vector<std::int32_t>& after = phases_[job][phase].after;
    for (const std::int32_t before : after) {
      right = right && ran(claim.job, static_cast<std::size_t>(before));
    }
    if (after.empty()) {
      for (int before : predecessors_[job]) {
        for (int p = 0; p < phases(before); ++p) {
          right = right && ran(before, static_cast<std::size_t>(p));
        }
      }
      if (predecessors_[job].empty()) right = right && opened_[job] == run_;
      if (claim.job >= first_update()) {
        for (int norm = first_norm(); norm < first_update(); ++norm) right = right && ran(norm, 0);
      }
    }
    std::uint64_t& cell = cells_[job][phase][tile];
    right = right && cell == (run_ == 1 ? 0 : mark(run_ - 1, job, phase, tile));
    cell = mark(run_, job, phase, tile);
    if (!right) wrong_.fetch_add(1);
    ++ran_.at(static_cast<std::size_t>(worker)).tiles;
  }

  // The root calls these.
  void open(Stage& stage, int job) {
    opened_[static_cast<std::size_t>(job)] = run_;
    stage.arrive(job);
  }

  void begin(Stage& stage) override {
    next_ = dones_ = norms_ = 0;
    while (next_ < std::min(shape_.open_limit, shape_.positions)) open(stage, next_++);
    if (at_begin) at_begin();
  }

  void meanwhile() override { return at_meanwhile ? at_meanwhile() : void(); }

  bool on_done(Stage& stage, int job) override {
    if (at_done) at_done(job);
    std::uint64_t& told = told_[static_cast<std::size_t>(job)];
    EXPECT_LT(told, run_) << "job " << job << " was told twice";
    told = run_;
    ++dones_;
    if (job < shape_.positions) {
      if (next_ < shape_.positions) open(stage, next_++);
    } else if (job >= first_norm() && job < first_update() && ++norms_ == owners_) {
      for (int u = 0; u < owners_; ++u) open(stage, first_update() + u);
    }
    return dones_ == reports_;
  }

  struct alignas(128) Count {
    std::uint64_t tiles = 0;
  };

  const Shape shape_;
  const std::vector<MergePlan> merges_;
  const int owners_;
  std::vector<std::vector<PhasePlan>> phases_;                  // [job], each as often as it comes
  std::vector<std::vector<int>> predecessors_;                  // [job]
  std::vector<std::vector<std::vector<std::uint64_t>>> cells_;  // [job][phase][tile]
  std::vector<Count> ran_;                                      // by worker, the root after them
  std::vector<std::uint64_t> opened_, told_;                    // [job]: the last run that did so
  std::uint64_t run_ = 0, tiles_ = 0;
  int reports_ = 0, next_ = 0, dones_ = 0, norms_ = 0;
  std::atomic<std::uint64_t> wrong_{0};
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
