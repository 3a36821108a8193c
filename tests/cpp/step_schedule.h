// The schedule of a training step, its tiles without their arithmetic: how long each takes beside
// the others, and the least time that all of them can take.
#pragma once

#include <sys/prctl.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "cpu/features.h"
#include "tile_costs.h"
#include "train/train_stage.h"

namespace cllm {

struct ScheduleCase {
  std::int64_t layers, heads, width, sequence, vocabulary, batch, positions;
};

/// The real stage of a step, with a tree for it.
class StepSchedule {
 public:
  StepSchedule(const ScheduleCase& c, std::int64_t workers)
      : plan_(plan_of(c)),
        state_(model_of(c)),
        jobs_(state_.config, state_.layout, plan_, Pass::kTraining),
        worker_count_(static_cast<int>(workers)),
        pool_(worker_count_, GemmBackend::kNative, kernels(), 16) {
    TreeOptions options;
    options.cores = 1;  // sleepers leave the cores to others: nobody may spin
    options.activate_all = true;
    options.prepare_worker = [](int) { prctl(PR_SET_TIMERSLACK, 1); };
    tree_ = std::make_unique<SphereTree>(
        plan_tree(threads_for_workers(workers, state_.config.symmetry_order)), options);
    stage_ = std::make_unique<TrainStage>(plan_, state_, kernels(), pool_, *tree_);
    lay_out_jobs();
  }
  ~StepSchedule() { tree_.reset(); }

  /// Of the last run: the least time that these tiles can take on these workers, over the wall
  /// time.
  double efficiency() const { return ideal() / wall_; }
  std::size_t tiles() const {
    std::size_t n = 0;
    for (const auto& job : cost_) {
      for (const auto& phase : job) n += phase.size();
    }
    return n;
  }

  /// The larger of all the work dealt evenly and of the longest way through the phases. A phase
  /// takes at least its longest tile and at least its work dealt evenly.
  double ideal() const {
    const double workers = worker_count_;
    double work = 0, longest = 0;
    std::vector<double> end(took_.size(), 0.0);  // of a job
    for (std::size_t j = 0; j < took_.size(); ++j) {
      double begin = 0;
      for (std::size_t before : predecessors_[j]) begin = std::max(begin, end[before]);
      std::vector<double> phase_end;
      for (std::size_t p = 0; p < took_[j].size(); ++p) {
        double sum = 0, most = 0, from = begin;
        for (double t : took_[j][p]) {
          sum += t;
          most = std::max(most, t);
        }
        work += sum;
        for (std::int32_t b : phases_[j][p].after) {
          from = std::max(from, phase_end[static_cast<std::size_t>(b)]);
        }
        phase_end.push_back(from + std::max(most, sum / workers));
        end[j] = std::max(end[j], phase_end.back());
      }
      longest = std::max(longest, end[j]);
    }
    return std::max(longest, work / workers);
  }

 private:
  static ModelConfig model_of(const ScheduleCase& c) {
    ModelConfig model;
    model.layers = c.layers;
    model.heads = c.heads;
    model.width = c.width;
    model.positions = c.sequence;
    model.vocabulary = c.vocabulary;
    return model;
  }
  static BatchPlan plan_of(const ScheduleCase& c) {
    BatchShape shape;
    shape.batch = c.batch;
    shape.sequence = c.sequence;
    shape.positions = c.positions;
    return plan_batch(shape);
  }

  // The jobs in the order that TrainStage states.
  void lay_out_jobs() {
    for (std::size_t k = 0; k < plan_.positions.size(); ++k) {
      auto& job = add_job();
      phases_.back() = jobs_.phases(static_cast<int>(k));
      for (std::size_t p = 0; p < phases_.back().size(); ++p) {
        const ShardJobs::Place& place =
            jobs_.place(static_cast<int>(k), static_cast<std::int32_t>(p));
        job.emplace_back();
        for (std::int32_t t = 0; t < phases_.back()[p].tiles; ++t) {
          job.back().push_back(TileCosts::of(*place.program, place.phase, t));
        }
      }
    }
    const std::vector<Block>& blocks = state_.layout.blocks();
    for (const MergePlan& merge : plan_.merges) {
      auto& job = add_job();
      job.emplace_back();
      for (const Block& b : blocks) job.back().push_back(4.0 * merge.count * double(b.size));
      for (int i = 0; i < merge.count; ++i) {
        predecessors_.back().push_back(static_cast<std::size_t>(merge.inputs[i]));
      }
    }
    const std::size_t sum = cost_.size() - 1;
    const auto owners =
        static_cast<std::size_t>(std::min(tree_->plan().subtrees, static_cast<int>(blocks.size())));
    for (int update = 0; update < 2; ++update) {
      for (std::size_t s = 0; s < owners; ++s) {
        auto& job = add_job();
        job.emplace_back();
        for (std::size_t b = s; b < blocks.size(); b += owners) {
          job.back().push_back((update == 1 ? 30.0 : 2.0) * static_cast<double>(blocks[b].size));
        }
        if (update == 0) predecessors_.back().push_back(sum);
        for (std::size_t n = 0; update == 1 && n < owners; ++n) {
          predecessors_.back().push_back(sum + 1 + n);
        }
      }
    }
    took_ = cost_;
  }

  std::vector<std::vector<double>>& add_job() {
    predecessors_.emplace_back();
    phases_.push_back({{1, {}}});
    return cost_.emplace_back();
  }

 protected:
  const BatchPlan plan_;
  ModelState state_;
  const ShardJobs jobs_;
  const int worker_count_;
  WorkerPool pool_;
  std::unique_ptr<TrainStage> stage_;
  std::unique_ptr<SphereTree> tree_;
  std::vector<std::vector<std::vector<double>>> cost_, took_;  // [job][phase][tile]
  std::vector<std::vector<PhasePlan>> phases_;                 // [job]
  std::vector<std::vector<std::size_t>> predecessors_;         // [job]
  double wall_ = 0;
};

}  // namespace cllm
