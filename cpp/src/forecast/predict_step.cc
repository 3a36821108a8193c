#include "forecast/predict_step.h"

#include <algorithm>
#include <cmath>

#include "forecast/schedule_play.h"
#include "forecast/shard_costs.h"
#include "model/workspace.h"

namespace cllm {
namespace {

// A worker looks for work so long before it sleeps, as in the tree of spheres.
constexpr double kSpinNs = 60e3;
// Claiming a tile and reporting it, with two readings of the clock, takes a few hundred
// instructions.
constexpr double kClaimNs = 150;

/// Returns which part of the matrices training changes: the others stay packed.
double trained_part(const ParameterLayout& layout) {
  double all = 0, trained = 0;
  for (const Linear& linear : layout.network().linears()) {
    const auto numbers = static_cast<double>(linear.rows() * linear.columns());
    all += numbers;
    trained += layout.trains(linear.weight) ? numbers : 0;
  }
  return trained / all;
}

struct Costs {
  Costs(const SessionConfig& s, const BatchPlan& batch, const ParameterLayout& parameters,
        const MachineRates& rates, const TrainSchedule& plan, const ShardJobs& jobs,
        std::int64_t active, const std::string& where)
      : clock(rates, where),
        model(s.model),
        precision(s.precision),
        schedule(plan),
        shards(jobs),
        layout(parameters),
        packed_again(trained_part(parameters)) {
    const auto kib = [active](double bytes) {
      return std::max<std::int64_t>(1, std::llround(bytes / 1024 / static_cast<double>(active)));
    };
    const ShardShape largest{batch.largest_shard(), batch.sequence};
    const auto open = std::min<std::int64_t>(schedule.positions(), active);
    const auto flat = 4 * static_cast<double>(layout.trainables().flat_size());
    footprints.activations =
        kib(static_cast<double>(open) *
            static_cast<double>(Workspace::bytes_for(layout, largest, s.pass, s.precision)));
    footprints.gradients = kib(flat * schedule.gradient_buffers());
    footprints.optimizer = kib(4 * flat);
  }

  /// Returns the nanoseconds inside the tile: those in products and the rest.
  TileTime of(const TileClaim& claim) const {
    switch (schedule.kind(claim.job)) {
      case JobKind::kPosition: {
        const ShardJobs::Place place = shards.place(claim.job, claim.phase);
        const ShardProgram& program = *place.program;
        return tile_time(clock, footprints, program.cuts(), program.phases()[place.phase],
                         claim.tile, precision);
      }
      case JobKind::kMerge: {
        const auto elements =
            layout.trainables().blocks()[static_cast<std::size_t>(claim.tile)].size;
        const char* const kernel = schedule.sources(claim.job) == 2 ? "sum_2" : "sum_3";
        return {0, clock.nanoseconds(kernel, {elements, footprints.gradients})};
      }
      case JobKind::kPacking:  // each way moves about as much as an addition of two
        return {0,
                packed_again * 2 *
                    clock.nanoseconds("add", {PackedWeights::kTileNumbers, footprints.gradients})};
      // Each link moves about as much as an addition; E' takes one sum over links, its gradient
      // two.
      case JobKind::kFold:
        return {0, links(1)};
      case JobKind::kUnfold:
        return {0, links(2)};
      case JobKind::kNorm:
        return {0, clock.nanoseconds("sum_squares", {block(claim), footprints.gradients})};
      case JobKind::kUpdate:
        return {0, clock.nanoseconds("adamw", {block(claim), footprints.optimizer})};
    }
    return {};
  }
  double links(int sums) const {
    const double per_sum = clock.nanoseconds("add", {model.width, footprints.gradients}) *
                           static_cast<double>(model.symmetry_order);
    return sums * per_sum * static_cast<double>(model.vocabulary) /
           Coupling::tiles_for(model.vocabulary, model.width);
  }
  std::int64_t block(const TileClaim& claim) const {
    return layout.trainables().blocks()[schedule.block(claim.job, claim.tile)].size;
  }

  const KernelClock clock;
  const ModelConfig& model;
  const Precision precision;
  const TrainSchedule& schedule;
  const ShardJobs& shards;
  const ParameterLayout& layout;
  const double packed_again;
  Footprints footprints{};
};

/// Counts the spheres with an active worker at or below them, without the root: each hears Work and
/// says Idle.
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
  const ParameterLayout layout = layout_of(config);
  const BatchPlan batch =
      plan_session_batch(layout, config.batch, config.sequence, config.positions);
  const TreePlan tree = plan_tree(config.threads, config.model.symmetry_order);
  const std::int64_t active = config.active_workers();
  const std::int32_t packed_tiles =
      packs_weights(config, layout) ? PackedWeights::tiles_for(layout, config.precision) : 0;
  const std::int32_t coupled_tiles =
      config.lattice ? Coupling::tiles_for(config.model.vocabulary, config.model.width) : 0;
  TrainSchedule schedule(batch, layout, tree.owners(active), static_cast<int>(active),
                         {packed_tiles, coupled_tiles});
  const ShardJobs shards(config.model, layout, batch, config.pass,
                         packed_tiles > 0 ? WeightLayout::kPacked : WeightLayout::kPlain,
                         config.head_rows);
  const Costs costs(config, batch, layout, rates, schedule, shards, active, where);
  // A root that computes hears of a job at once; any other root sleeps, at the far end of the tree.
  const bool alone = tree.root_computes(active);
  const int levels = tree.spheres.back().level;
  const double root_ns = alone ? 0 : 1e3 * rates.wake_us * levels;
  StepForecast forecast;
  const auto tile_ns = [&](const TileClaim& claim) {
    const TileTime time = costs.of(claim);
    forecast.product_ms += 1e-6 * time.product;
    forecast.pass_ms += 1e-6 * time.pass;
    return time.sum();
  };
  const PlayedStep step =
      play_schedule(schedule, shards, tree, active, {tile_ns, kClaimNs, root_ns, kSpinNs});
  forecast.workers = active;
  forecast.milliseconds = 1e-6 * (root_ns + step.time);  // Work goes down first
  forecast.waiting_ms =
      forecast.milliseconds * static_cast<double>(active) - forecast.product_ms - forecast.pass_ms;
  forecast.messages = step.done_messages + (alone ? 0 : 2 * active_spheres(tree, active));
  forecast.tiles = step.tiles;
  return forecast;
}

}  // namespace cllm
