// measure_step() times whole training steps on random tokens.
#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "cllm/bench.h"
#include "cllm/error.h"
#include "cpu/features.h"
#include "cpu/placement.h"
#include "engine/memory_plan.h"
#include "forecast/step_parts.h"
#include "machine/core_round_trip.h"
#include "machine/gemm_peak.h"
#include "model/initialize.h"

namespace cllm {
namespace {

constexpr std::int64_t kWarmingSteps = 2;
constexpr std::size_t kFewestSteps = 3;

void at_least(const char* name, std::int64_t value, std::int64_t least) {
  if (value >= least) return;
  throw InputError(
      {"too small", std::to_string(value), "at least " + std::to_string(least), name, ""});
}

SessionConfig session_of(const StepBench& bench) {
  check(bench.model);
  at_least("batch", bench.batch, 1);
  at_least("seq", bench.sequence, 0);
  at_least("workers", bench.workers, 0);
  at_least("steps", bench.steps, 0);
  TrainConfig c;
  c.batch = bench.batch;
  c.sequence = bench.sequence > 0 ? bench.sequence : bench.model.context;
  if (c.sequence > bench.model.context) {
    throw InputError({"the sequence is longer than the model's context", std::to_string(c.sequence),
                      "at most " + std::to_string(bench.model.context), "seq", ""});
  }
  if (bench.precision != precision_name(parse_precision(bench.precision))) {
    throw InputError({"no such precision", bench.precision, "fp32 or bf16", "precision", ""});
  }
  c.positions = bench.positions;
  c.precision = bench.precision;
  c.gemm = bench.gemm;
  c.schedule = "constant";
  c.learning_rate = c.min_learning_rate = 1e-4;
  c.warmup = 0;
  c.steps = 1;
  if (bench.workers > 0) c.workers = std::to_string(bench.workers);
  c.symmetry = bench.model.symmetry_order;
  c.lattice = bench.lattice;
  SessionConfig s = session_for(c, bench.model);
  s.tune_workers = false;  // every step has as many active workers as were asked for
  check_memory(s);
  return s;
}

/// Returns [B, T] tokens, always the same.
std::vector<std::int32_t> random_tokens(const SessionConfig& s, std::uint32_t stream) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(s.batch * s.sequence));
  const auto vocabulary = static_cast<std::uint64_t>(s.model.vocabulary);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const RandomBlock block = random_block(3, RandomStream::kTest, stream, i);
    tokens[i] = static_cast<std::int32_t>(uniform_below(random_bits64(block, 0), vocabulary));
  }
  return tokens;
}

std::uint64_t messages_sent(const SphereTree& tree) {
  std::uint64_t sum = 0;
  for (const SpherePlan& s : tree.plan().spheres) sum += tree.counters(s.id).messages_out.get();
  return sum;
}

double longest_round_trip_ns(const SessionConfig& s) {
  const TreePlan plan = plan_tree(s.threads, s.model.symmetry_order);
  const std::vector<int> cpus = place(s.allowance.cpus, plan, s.active_workers());
  double longest = 0;
  for (std::size_t w = 1; w < cpus.size() && cpus[w] >= 0; ++w) {
    longest = std::max(longest, core_round_trip_ns(cpus[0], cpus[w]));
  }
  return longest;
}

}  // namespace

StepTimes measure_step(const StepBench& bench) {
  SessionConfig config = session_of(bench);
  StepParts parts(config);
  StepTimes times;
  PeakRate peak(measure_gemm_peak(config.gemm, kernels(), config.precision));
  Session session(config);
  initialize(config.model, session.state().layout, 1, session.state().parameters.data());
  session.state().keep_all();
  session.state().start_lattice();
  const std::vector<std::int32_t> inputs = random_tokens(config, 0);
  const std::vector<std::int32_t> targets = random_tokens(config, 1);
  std::int64_t step = 0;
  for (; step < kWarmingSteps; ++step) session.step(step, {inputs.data(), targets.data()});

  const std::uint64_t sent = messages_sent(session.tree());
  const auto wanted = static_cast<std::size_t>(bench.steps);
  std::vector<double> took;
  double total = 0;
  while (wanted > 0 ? took.size() < wanted
                    : took.size() < kFewestSteps || total < 1e3 * bench.seconds) {
    const std::uint64_t start = now_ns();
    session.step(step++, {inputs.data(), targets.data()});
    took.push_back(1e-6 * static_cast<double>(now_ns() - start));
    total += took.back();
  }
  std::sort(took.begin(), took.end());
  const double tokens = static_cast<double>(config.batch * config.sequence);
  times.workers = session.tree().active_workers();
  times.parameters = session.state().layout.parameters();
  times.steps = static_cast<std::int64_t>(took.size());
  times.milliseconds = took[took.size() / 2];
  times.least = took.front();
  times.most = took.back();
  times.tokens_per_second = 1e3 * tokens / times.milliseconds;
  times.gflops = 1e-9 * times.tokens_per_second *
                 static_cast<double>(session.state().layout.flops_per_token(config.sequence));
  times.mfu = peak.share(times.gflops, times.workers);
  times.peak_gflops = peak.gflops();
  times.messages =
      static_cast<double>(messages_sent(session.tree()) - sent) / static_cast<double>(times.steps);
  times.round_trip_ns = longest_round_trip_ns(config);
  const std::uint64_t start = now_ns();
  const std::int64_t again = std::max<std::int64_t>(2, times.steps / 2);
  parts.start(session);
  for (std::int64_t i = 0; i < again; ++i) session.step(step++, {inputs.data(), targets.data()});
  const double seconds = 1e-9 * static_cast<double>(now_ns() - start);
  times.parts = parts.report(again, seconds, times.workers);
  times.parts_milliseconds = 1e3 * seconds / static_cast<double>(again);
  return times;
}

}  // namespace cllm
