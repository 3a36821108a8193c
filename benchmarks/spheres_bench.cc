// A step of messages alone: a stage of one job with one empty tile on trees of 1 to 51 workers, all
// of them active. p50 and least are of single steps.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "cpu/allowance.h"
#include "spheres/tree.h"

namespace cllm {
namespace {

class EmptyStep final : public TileRunner, public Conductor {
 public:
  explicit EmptyStep(const SphereTree& tree) : stage_({one_job()}, tree.owned_runs(), *this) {}
  void run(SphereTree& tree) { tree.run(stage_, *this); }

 private:
  static JobPlan one_job() {
    JobPlan job;
    job.phases = {{1, {}}};
    job.reports = true;
    return job;
  }
  void run_tile(int, const TileClaim&) override {}
  void begin(Stage& stage) override { stage.arrive(0); }
  bool on_done(Stage&, int) override { return true; }

  Stage stage_;
};

std::uint64_t messages(const SphereTree& tree) {
  std::uint64_t sum = 0;
  for (const SpherePlan& s : tree.plan().spheres) sum += tree.counters(s.id).messages_out.get();
  return sum;
}

void empty_step(benchmark::State& state) {
  TreeOptions options;
  options.cores = usable_cores();
  options.activate_all = true;
  auto tree = std::make_unique<SphereTree>(plan_tree(threads_for_workers(state.range(0))), options);
  EmptyStep step(*tree);
  for (int i = 0; i < 100; ++i) step.run(*tree);
  std::vector<std::uint64_t> took;
  took.reserve(1 << 20);
  const std::uint64_t before = messages(*tree);
  for ([[maybe_unused]] auto turn : state) {
    const std::uint64_t start = now_ns();
    step.run(*tree);
    took.push_back(now_ns() - start);
  }
  const auto sent = static_cast<double>(messages(*tree) - before);
  tree.reset();  // before the stage that its threads may look at
  std::sort(took.begin(), took.end());
  state.counters["p50_us"] = 1e-3 * static_cast<double>(took[took.size() / 2]);
  state.counters["least_us"] = 1e-3 * static_cast<double>(took.front());
  state.counters["messages"] = sent / static_cast<double>(took.size());
}
BENCHMARK(empty_step)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->Arg(12)
    ->Arg(51)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace cllm

BENCHMARK_MAIN();
