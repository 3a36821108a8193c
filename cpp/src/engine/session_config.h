// A SessionConfig says what a session is made of: a model, a step batch, threads and an optimizer.
// session_for() is the only way to it from the options.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cllm/lora_config.h"
#include "cllm/model_config.h"
#include "cllm/train_config.h"
#include "cpu/allowance.h"
#include "gemm/gemm.h"
#include "model/layout.h"
#include "model/pass.h"
#include "model/precision.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "plan/batch_plan.h"
#include "spheres/tree.h"

namespace cllm {

struct SessionConfig {
  ModelConfig model;
  std::int64_t batch = 1;      ///< B, sequences in the step batch (grad_accum included)
  std::int64_t sequence = 1;   ///< T
  std::int64_t positions = 0;  ///< K; 0: the plan's rule decides
  std::int64_t threads = 1;    ///< spheres
  bool lattice = false;        ///< tokens are coupled with their kissing neighbours
  /// The weights are frozen and adapters trained; null: the weights are trained.
  std::optional<LoraConfig> lora;
  /// The matrices of frozen weights are kept as this. REQUIRES: kFp32 without adapters.
  Precision base = Precision::kFp32;
  AdamWConfig adamw;
  Schedule schedule;
  double clip = 1.0;
  GemmBackend gemm = GemmBackend::kNative;
  bool pack_always = false;  ///< test hook: pack weights for small steps too
  Precision precision = Precision::kFp32;
  std::uint64_t seed = 0;  ///< of dropout, if the model has rates
  Pass pass = Pass::kTraining;
  HeadRows head_rows = HeadRows::kAll;  ///< kCounted where many targets are not counted
  TreeOptions tree;                     ///< the session sets prepare_worker
  Allowance allowance;         ///< the cores that workers may be pinned to; empty: they are not
  bool time_products = false;  ///< for take_product_ns()

  /// The first steps find out how many workers make a step fastest, and the others sleep. Without
  /// it all of them compute, as many as there are CPUs.
  bool tune_workers = false;

  /// Checkpoints are written from a copy of parameters and moments, which takes as much memory
  /// again.
  bool snapshot = false;

  /// Returns the most workers that compute in a step.
  int active_workers() const;
};

/// Returns the layout of a session's model.
ParameterLayout layout_of(const SessionConfig& config);

/// These return the batch plan of a session, which depends on shapes only.
BatchPlan plan_session_batch(const SessionConfig& config);
BatchPlan plan_session_batch(const ParameterLayout& layout, std::int64_t batch,
                             std::int64_t sequence, std::int64_t positions);

/// Says whether a session's steps pack the weights first: with native products, where it pays, but
/// not beside frozen ones that are kept as Bf16 to save memory.
bool packs_weights(const SessionConfig& config, const ParameterLayout& layout);

/// Makes the optimizer of a session.
std::unique_ptr<Optimizer> make_optimizer(const SessionConfig& config);

/// Returns the floats of scratch of each worker of the session.
std::size_t scratch_floats(const SessionConfig& config, const BatchPlan& plan);

/// Returns the session in which `config` trains `model`. No other place reads the options of the
/// engine. REQUIRES: the configuration is checked and its sequence decided; so are steps, warmup
/// and the lowest rate, if steps are made.
SessionConfig session_for(const TrainConfig& config, const ModelConfig& model);

}  // namespace cllm
