#include "engine/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "cllm/error.h"
#include "cllm/wording.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "engine/forward_stage.h"
#include "engine/train_stage.h"

namespace cllm {
namespace {

// These are measured: a thread's stack with what the C library keeps for it, and what oneDNN keeps
// for a thread.
constexpr std::size_t kThreadBytes = 64 << 10, kLibraryBytes = 4 << 20;

/// Returns the bytes of step batches (as drawn, and two laid out), two rounds of evaluation, rotary
/// positions for shards of about four shapes, and the words and lists of phases: about 60 a layer
/// and 12 an adapter in each position, with two laps in seven places of 128 bytes.
std::size_t tables_bytes(const SessionConfig& config, const ParameterLayout& layout,
                         const BatchPlan& plan, std::int64_t windows) {
  std::int64_t each = 60;
  for (const Linear& linear : layout.layer(0).linears) each += linear.adapter.exists() ? 12 : 0;
  // Examples come with a first key of each token.
  const std::int64_t columns = config.head_rows == HeadRows::kCounted ? 3 : 2;
  const std::int64_t row = columns * static_cast<std::int64_t>(sizeof(std::int32_t));
  const std::int64_t phases = each * config.model.layers;
  const std::int64_t tokens = 3 * config.batch * config.sequence + 2 * windows * config.sequence;
  const auto positions = static_cast<std::int64_t>(plan.positions.size());
  const std::int64_t turns =
      config.model.is_gpt2() ? 0 : 4 * config.sequence * config.model.head_width();
  return static_cast<std::size_t>(tokens * row + positions * phases * 7 * 128) +
         static_cast<std::size_t>(turns) * sizeof(float);
}

/// Returns the bytes of the weights, without those that lie among the adapters. Beside matrices
/// that are kept as Bf16, vectors take the pages that they lie in.
std::size_t weight_bytes(const ParameterLayout& layout, Precision base) {
  constexpr std::int64_t kPage = 4096;
  const auto size = static_cast<std::int64_t>(sizeof(float));
  std::int64_t bytes = base == Precision::kFp32 ? layout.flat_size() * size : 0;
  std::int64_t end = 0;  // of the pages so far
  for (const TensorEntry& weight : layout.weights().tensors()) {
    const bool moved = layout.among_adapters(weight.offset) != kAbsent;
    if (base == Precision::kFp32) {
      if (moved) bytes -= weight.size * size;
      continue;
    }
    if (moved) continue;
    if (weight.is_matrix()) {
      bytes += weight.size * static_cast<std::int64_t>(sizeof(Bf16));
      continue;
    }
    const std::int64_t begin = std::max(end, weight.offset * size / kPage * kPage);
    end = std::max(end, ((weight.offset + weight.size) * size + kPage - 1) / kPage * kPage);
    bytes += end - begin;
  }
  return static_cast<std::size_t>(bytes);
}

/// Returns what the process had when this was first called, before it made a session.
std::size_t program_bytes() {
  static const std::size_t bytes = [] {
    const Resident now = resident_memory();
    return static_cast<std::size_t>(now.own + now.files);
  }();
  return bytes;
}

}  // namespace

MemoryPlan plan_memory(const SessionConfig& config) {
  const ParameterLayout layout = layout_of(config);
  const BatchPlan plan =
      plan_session_batch(layout, config.batch, config.sequence, config.positions);
  const int active = config.active_workers();
  const auto bytes = [](const TensorTable& table) {
    return static_cast<std::size_t>(table.flat_size()) * sizeof(float);
  };
  MemoryPlan memory{};
  memory.parameters = weight_bytes(layout, config.base);
  if (layout.adapted()) memory.parameters += bytes(layout.trainables());
  memory.moments = make_optimizer(config)->ranges().size() * bytes(layout.trainables());
  memory.activations_and_gradients =
      TrainStage::bytes_for(plan, layout, active, config.precision, config.pass);
  if (packs_weights(config, layout)) {
    memory.activations_and_gradients += PackedWeights::bytes_for(layout, config.precision);
  }
  if (config.lattice) {
    const std::size_t more = LatticeState::bytes_for(config.model);  // half of it are weights
    memory.parameters += more / 2;
    memory.activations_and_gradients += more - more / 2;
  }
  // A worker that stays parked touches only its stack.
  const auto computing = static_cast<std::size_t>(active);
  memory.workers =
      computing * sizeof(float) * (scratch_floats(config, plan) + kernels().gemm_scratch_floats) +
      static_cast<std::size_t>(config.threads) * kThreadBytes;
  if (config.gemm != GemmBackend::kNative) memory.workers += (computing + 1) * kLibraryBytes;
  const std::size_t spare =
      TrainStage::workspace_bytes_for(plan, layout, active, config.precision, config.pass);
  const std::int64_t windows = ForwardStage::most_sequences(config.sequence);
  memory.evaluation =
      ForwardStage::bytes_for(layout, windows, config.sequence, active, config.precision, spare);
  memory.tables = tables_bytes(config, layout, plan, windows);
  if (config.lattice) memory.tables += LatticeState::tables_bytes_for(config.model);
  memory.program = program_bytes();
  // Frozen weights are not saved.
  const std::size_t saved = layout.adapted() ? bytes(layout.trainables()) : memory.parameters;
  memory.saving = config.snapshot ? saved + memory.moments : 0;
  return memory;
}

void check_memory(const SessionConfig& session) {
  const MemoryPlan plan = plan_memory(session);
  const double needed = static_cast<double>(plan.total());
  const double limit = memory_limit_bytes();
  if (needed <= limit) return;
  const auto whole_mib = [](double bytes) {
    return std::to_string(std::llround(bytes / 1048576)) + " MiB";
  };
  const bool mostly_tables =
      session.lattice && LatticeState::tables_bytes_for(session.model) > plan.total() / 2;
  throw InputError({"the run does not fit in memory", whole_mib(needed),
                    "at most " + whole_mib(limit), "memory plan",
                    mostly_tables ? "a smaller " + option_word("symmetry")
                                  : "a smaller " + option_word("batch") + " (with " +
                                        option_word("grad-accum") + " the step batch stays), " +
                                        option_word("dim") + " or " + option_word("layers")});
}

bool has_room_for_snapshot(SessionConfig session) {
  session.snapshot = true;
  return static_cast<double>(plan_memory(session).total()) <= memory_limit_bytes();
}

}  // namespace cllm
