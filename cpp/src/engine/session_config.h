// What a session is made of: a model, a step batch, threads and an optimizer; and the one way to it
// from the options.
#pragma once

#include <cstdint>
#include <memory>

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
  std::int64_t positions = 0;  ///< K; 0: by the plan's rule
  std::int64_t threads = 1;    ///< spheres
  AdamWConfig adamw;
  Schedule schedule;
  double clip = 1.0;
  GemmBackend gemm = GemmBackend::kNative;
  bool pack_always = false;  ///< test hook: pack weights for small steps too
  Precision precision = Precision::kFp32;
  std::uint64_t seed = 0;  ///< of dropout, where the model has rates
  Pass pass = Pass::kTraining;
  TreeOptions tree;            ///< prepare_worker is set by the session
  Allowance allowance;         ///< the cores that workers may be bound to; empty: they are not
  bool time_products = false;  ///< for take_product_ns()

  /// Finds out in the first steps how many of the workers make them fastest, and lets the others
  /// sleep; without it all of them compute, as many as there are CPUs.
  bool tune_workers = false;

  /// Checkpoints are written from a copy of parameters and moments, which takes their memory again.
  bool snapshot = false;

  /// Most workers that compute in a step.
  int active_workers() const;
};

/// The batch plan of a session, which looks at shapes only.
BatchPlan plan_session_batch(const ModelConfig& model, std::int64_t batch, std::int64_t sequence,
                             std::int64_t positions);

/// Whether a session's steps pack the weights first: with native products, where it pays.
bool packs_weights(const SessionConfig& config, const ParameterLayout& layout);

/// The optimizer of a session.
std::unique_ptr<Optimizer> make_optimizer(const SessionConfig& config);

/// Floats of scratch that each worker of the session brings along.
std::size_t scratch_floats(const SessionConfig& config, const BatchPlan& plan);

/// The model that --layers, --heads, --dim, --seq and the like describe. Throws InputError for one
/// that cannot be.
ModelConfig new_model(const TrainConfig& config, std::int64_t sequence, std::int64_t vocabulary);

/// The session in which `config` trains `model`: the one place that reads the options of the
/// engine. REQUIRES: the configuration is checked and its sequence decided; so are steps, warmup
/// and the lowest rate where steps are made.
SessionConfig session_for(const TrainConfig& config, const ModelConfig& model);

}  // namespace cllm
