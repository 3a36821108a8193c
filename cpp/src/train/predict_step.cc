#include "train/predict_step.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>

#include "model/workspace.h"
#include "train/shard_costs.h"
#include "train/train_schedule.h"

namespace cllm {
namespace {

// What a worker looks for before it falls asleep, as in the tree of spheres.
constexpr double kSpinNs = 60e3;
// Taking a tile and reporting it, with two readings of the clock: a few hundred instructions.
constexpr double kClaimNs = 150;

struct Costs {
  Costs(const SessionConfig& s, const BatchPlan& batch, const ParameterLayout& parameters,
        const MachineRates& rates, const TrainSchedule& plan, const ShardJobs& jobs,
        std::int64_t active, const std::string& where)
      : clock(rates, where, s.precision),
        precision(s.precision),
        schedule(plan),
        shards(jobs),
        layout(parameters) {
    const auto kib = [active](double bytes) {
      return std::max<std::int64_t>(1, std::llround(bytes / 1024 / static_cast<double>(active)));
    };
    const ShardShape largest{batch.largest_shard(), batch.sequence};
    const auto open = std::min<std::int64_t>(schedule.positions(), active);
    const auto flat = 4 * static_cast<double>(layout.flat_size());
    footprints.activations =
        kib(static_cast<double>(open) *
            static_cast<double>(Workspace::bytes_for(s.model, largest, s.pass, s.precision)));
    footprints.gradients = kib(flat * schedule.gradient_buffers());
    footprints.optimizer = kib(4 * flat);
  }

  /// Nanoseconds inside the tile, and the part of them in products.
  TileTime of(const TileClaim& claim) const {
    switch (schedule.kind(claim.job)) {
      case TrainSchedule::Kind::kPosition: {
        const ShardJobs::Place& place = shards.place(claim.job, claim.phase);
        const ShardProgram& program = *place.program;
        return tile_time(clock, footprints, program.cuts(), program.phases()[place.phase],
                         claim.tile, precision);
      }
      case TrainSchedule::Kind::kMerge: {
        const auto elements = layout.blocks()[static_cast<std::size_t>(claim.tile)].size;
        const char* const kernel = schedule.sources(claim.job) == 2 ? "sum_2" : "sum_3";
        return {0, clock.nanoseconds(kernel, {elements, footprints.gradients})};
      }
      case TrainSchedule::Kind::kPacking:  // moves about as much as an addition of two
        return {0, clock.nanoseconds("add", {PackedWeights::kTileNumbers, footprints.gradients})};
      case TrainSchedule::Kind::kNorm:
        return {0, clock.nanoseconds("sum_squares", {block(claim), footprints.gradients})};
      case TrainSchedule::Kind::kUpdate:
        return {0, clock.nanoseconds("adamw", {block(claim), footprints.optimizer})};
    }
    return {};
  }
  std::int64_t block(const TileClaim& claim) const {
    return layout.blocks()[schedule.block(claim.job, claim.tile)].size;
  }

  const KernelClock clock;
  const Precision precision;
  const TrainSchedule& schedule;
  const ShardJobs& shards;
  const ParameterLayout& layout;
  Footprints footprints{};
};

/// Runs nothing: tiles are claimed and reported, and the clock is moved on by their times.
class Play final : private TileRunner {
 public:
  Play(TrainSchedule& schedule, const TreePlan& tree, std::int64_t active, const Costs& costs,
       double root_ns)
      : schedule_(schedule),
        costs_(costs),
        root_ns_(root_ns),
        stage_(schedule.jobs(costs.shards), subtrees(tree), *this),
        workers_(static_cast<std::size_t>(active)) {
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      const auto id = static_cast<std::size_t>(tree.workers[w]);
      workers_[w].hops = std::max(1, tree.spheres[id].level);
    }
  }

  /// Nanoseconds from the root's start to its last decision.
  double run(double start_ns) {
    stage_.reset(static_cast<int>(workers_.size()));
    schedule_.begin(stage_);
    for (std::size_t w = 0; w < workers_.size(); ++w) workers_[w].idle_since = start_ns;
    now_ = start_ns;
    offer();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      if (event.worker < 0) {
        if (schedule_.on_done(stage_, event.job)) return now_;
      } else {
        Worker& w = workers_[static_cast<std::size_t>(event.worker)];
        if (stage_.finish(w.claim)) {
          events_.push({now_ + root_ns_, -1, w.claim.job});
          done_ += w.hops;
        }
        w.idle_since = now_;
        take(event.worker);
      }
      offer();
    }
    return now_;
  }

  /// Done goes up the tree hop by hop, a message each.
  std::int64_t done_messages() const noexcept { return done_; }
  std::int64_t tiles() const noexcept { return tiles_; }
  double product_ns() const noexcept { return product_; }
  double pass_ns() const noexcept { return pass_; }

 private:
  struct Worker {
    TileClaim claim;
    double idle_since = 0;
    int hops = 1;  // to the root
    bool busy = false;
  };
  struct Event {
    double at;
    int worker;  // whose tile ends; -1: the root hears that `job` is done
    int job;
    bool operator<(const Event& other) const noexcept {  // the earliest is on top
      return at != other.at ? at > other.at : worker > other.worker;
    }
  };
  void run_tile(int, const TileClaim&) override {}
  static std::vector<int> subtrees(const TreePlan& tree) {
    std::vector<int> of;
    for (int id : tree.workers) {
      of.push_back(std::max(0, tree.spheres[static_cast<std::size_t>(id)].subtree));
    }
    return of;
  }

  /// Whoever has nothing looks again.
  void offer() {
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      if (!workers_[w].busy) take(static_cast<int>(w));
    }
  }
  void take(int worker) {
    Worker& w = workers_[static_cast<std::size_t>(worker)];
    const TileClaim claim = stage_.claim(worker, w.claim.job);
    w.busy = static_cast<bool>(claim);
    if (!claim) return;
    w.claim = claim;
    const TileTime time = costs_.of(claim);
    ++tiles_;
    product_ += time.product;
    pass_ += time.pass;
    const double woken = now_ - w.idle_since > kSpinNs ? root_ns_ : 0;
    events_.push({now_ + woken + kClaimNs + time.sum(), worker, claim.job});
  }

  TrainSchedule& schedule_;
  const Costs& costs_;
  const double root_ns_;
  Stage stage_;
  std::vector<Worker> workers_;
  std::priority_queue<Event> events_;
  double now_ = 0, product_ = 0, pass_ = 0;
  std::int64_t done_ = 0, tiles_ = 0;
};

/// Spheres with an active worker at or below them, the root left out: each hears Work and says
/// Idle.
std::int64_t active_spheres(const TreePlan& tree, std::int64_t active) {
  std::vector<char> is_active(tree.spheres.size(), 0);
  for (std::int64_t w = 0; w < active; ++w) {
    for (int s = tree.workers[static_cast<std::size_t>(w)]; s > 0;
         s = tree.spheres[static_cast<std::size_t>(s)].parent) {
      is_active[static_cast<std::size_t>(s)] = 1;
    }
  }
  return std::count(is_active.begin(), is_active.end(), 1);
}

}  // namespace

MachineRates rates_for(const Machine& machine, std::int64_t workers) {
  const auto& all = machine.rates;
  std::size_t above = 0;
  while (above + 1 < all.size() && all[above].workers < workers) ++above;
  MachineRates rates = all[above];
  if (rates.workers <= workers || above == 0) return rates;
  const MachineRates& below = all[above - 1];
  const double share = static_cast<double>(workers - below.workers) /
                       static_cast<double>(rates.workers - below.workers);
  const auto between = [share](double a, double b) { return a + share * (b - a); };
  rates.workers = workers;
  rates.gemm_gflops = between(below.gemm_gflops, rates.gemm_gflops);
  rates.copy_gbs = between(below.copy_gbs, rates.copy_gbs);
  rates.wake_us = between(below.wake_us, rates.wake_us);
  for (KernelTime& time : rates.times) {
    for (const KernelTime& other : below.times) {
      if (other.kernel == time.kernel && other.sizes == time.sizes) {
        time.nanoseconds = between(other.nanoseconds, time.nanoseconds);
      }
    }
  }
  return rates;
}

StepForecast predict_step(const SessionConfig& config, const MachineRates& rates,
                          const std::string& where) {
  const ParameterLayout layout(config.model);
  const BatchPlan batch =
      plan_session_batch(config.model, config.batch, config.sequence, config.positions);
  const TreePlan tree = plan_tree(config.threads, config.model.symmetry_order);
  const std::int64_t active = config.active_workers();
  const std::int32_t packing =
      packs_weights(config, layout)
          ? PackedWeights::tiles_for(config.model, layout, config.precision)
          : 0;
  TrainSchedule schedule(batch, layout, tree.subtrees, static_cast<int>(active), packing);
  const ShardJobs shards(config.model, layout, batch, config.pass);
  const Costs costs(config, batch, layout, rates, schedule, shards, active, where);
  // A root that computes hears of a job at once; any other sleeps, at the far end of the tree.
  const bool alone = tree.spheres.size() == 1;
  const int levels = tree.spheres.back().level;
  const double root_ns = alone ? 0 : 1e3 * rates.wake_us * levels;
  Play play(schedule, tree, active, costs, root_ns);
  const double total = play.run(root_ns);
  StepForecast forecast;
  forecast.workers = active;
  forecast.milliseconds = 1e-6 * total;
  forecast.product_ms = 1e-6 * play.product_ns();
  forecast.pass_ms = 1e-6 * play.pass_ns();
  forecast.waiting_ms =
      forecast.milliseconds * static_cast<double>(active) - forecast.product_ms - forecast.pass_ms;
  forecast.messages = play.done_messages() + 2 * active_spheres(tree, active);
  forecast.tiles = play.tiles();
  return forecast;
}

}  // namespace cllm
