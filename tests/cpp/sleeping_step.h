// A training step whose tiles sleep instead of computing, so that what the schedule costs can be
// measured for more workers than there are cores.
#pragma once

#include <sys/prctl.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <queue>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cpu/features.h"
#include "tile_costs.h"
#include "train/train_stage.h"

namespace cllm {

struct SleepingCase {
  std::int64_t layers, heads, width, sequence, vocabulary, batch, positions;
};

/// Runs the real stage of a step on the real tree. Tiles are timed as they were slept, so a late
/// timer counts as work; what is left over is the schedule's.
class SleepingStep {
 public:
  SleepingStep(const SleepingCase& c, std::int64_t workers)
      : plan_(plan_of(c)),
        state_(model_of(c)),
        jobs_(state_.config, state_.layout, plan_, true),
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
  ~SleepingStep() { tree_.reset(); }

  /// `mean_ms`: how long a tile sleeps on average.
  void run(double mean_ms) {
    double sum = 0;
    std::size_t tiles = 0;
    for (const auto& job : cost_) {
      for (const auto& phase : job) {
        for (double c : phase) sum += c;
        tiles += phase.size();
      }
    }
    const double ns = 1e6 * mean_ms * static_cast<double>(tiles) / sum;
    StepInput input{};
    input.instead_of_tile = [this, ns](int, const TileClaim& claim) {
      const auto j = static_cast<std::size_t>(claim.job);
      const auto p = static_cast<std::size_t>(claim.phase);
      const auto t = static_cast<std::size_t>(claim.tile);
      const std::uint64_t start = now_ns();
      const auto sleep = static_cast<std::int64_t>(ns * cost_[j][p][t]);
      std::this_thread::sleep_for(std::chrono::nanoseconds(sleep));
      took_[j][p][t] = static_cast<double>(now_ns() - start);
    };
    const std::uint64_t start = now_ns();
    stage_->run(*tree_, input);
    wall_ = static_cast<double>(now_ns() - start);
  }

  /// The same schedule without threads: a clock that goes from the end of one tile to that of the
  /// next, workers who need no time to look, and a root that needs none to answer. The last run of
  /// this step: there are no threads afterwards.
  void simulate() {
    took_ = cost_;
    StepInput input{};
    input.instead_of_tile = [](int, const TileClaim&) {};
    stage_->run(*tree_, input);  // leaves the input behind
    tree_.reset();               // its workers would join in
    Stage& stage = stage_->stage();
    stage.reset(worker_count_);
    stage_->begin(stage);
    struct Running {
      double end;
      int worker;
      TileClaim claim;
      bool operator<(const Running& o) const { return end > o.end; }
    };
    std::priority_queue<Running> running;
    std::vector<int> idle(static_cast<std::size_t>(worker_count_));
    std::iota(idle.begin(), idle.end(), 0);
    std::vector<int> at(idle.size(), -1);
    bool complete = false;
    for (wall_ = 0; !complete;) {
      for (std::size_t i = 0; i < idle.size();) {
        const auto w = static_cast<std::size_t>(idle[i]);
        const TileClaim claim = stage.claim(idle[i], at[w]);
        if (!claim) {
          ++i;
          continue;
        }
        at[w] = claim.job;
        const auto& phase = cost_[static_cast<std::size_t>(claim.job)]
                                 [static_cast<std::size_t>(claim.phase)];
        running.push({wall_ + phase[static_cast<std::size_t>(claim.tile)], idle[i], claim});
        idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(i));
      }
      ASSERT_FALSE(running.empty()) << "nobody works and nothing is complete";
      const Running next = running.top();
      running.pop();
      wall_ = next.end;
      idle.push_back(next.worker);
      if (stage.finish(next.claim)) complete = stage_->on_done(stage, next.claim.job);
    }
  }

  /// Of the last run: the least time that these tiles can take on these workers, over the wall
  /// time.
  double efficiency() const { return ideal() / wall_; }
  double wall_ms() const { return 1e-6 * wall_; }
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
  static ModelConfig model_of(const SleepingCase& c) {
    ModelConfig model;
    model.layers = c.layers;
    model.heads = c.heads;
    model.width = c.width;
    model.positions = c.sequence;
    model.vocabulary = c.vocabulary;
    return model;
  }
  static BatchPlan plan_of(const SleepingCase& c) {
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
